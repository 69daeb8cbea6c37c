package main

import (
	"context"
	"os"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

func (d *driver) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: d.nodeID, AccessibleTopology: &csi.Topology{Segments: d.topology}}, nil
}

func (d *driver) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	answer := &csi.NodeGetCapabilitiesResponse{}
	for _, t := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME,
		csi.NodeServiceCapability_RPC_GET_VOLUME_STATS,
		csi.NodeServiceCapability_RPC_EXPAND_VOLUME,
		csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		answer.Capabilities = append(answer.Capabilities, &csi.NodeServiceCapability{
			Type: &csi.NodeServiceCapability_Rpc{Rpc: &csi.NodeServiceCapability_RPC{Type: t}},
		})
	}
	return answer, nil
}

func (d *driver) NodeStageVolume(_ context.Context, q *csi.NodeStageVolumeRequest) (*csi.NodeStageVolumeResponse, error) {
	if err := required("volume id", q.VolumeId, "staging path", q.StagingTargetPath); err != nil {
		return nil, err
	}
	if q.VolumeCapability == nil {
		return nil, fail(codes.InvalidArgument, "capability is missing")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.volume(q.VolumeId)
	if err != nil {
		return nil, err
	}
	device, err := attach(d.store.image(v.ID))
	if err != nil {
		return nil, internal(err)
	}
	settings := q.VolumeCapability.GetMount()
	if settings == nil {
		return &csi.NodeStageVolumeResponse{}, nil
	}
	return &csi.NodeStageVolumeResponse{}, internal(stage(device, settings, q.StagingTargetPath))
}

// stage mounts the device's file system, after making it or fitting it to the device.
func stage(device string, settings *csi.VolumeCapability_MountVolume, path string) error {
	mounted, err := isMounted(path)
	if err != nil || mounted {
		return err
	}
	wanted := settings.FsType
	if wanted == "" {
		wanted = "ext4"
	}
	fsType, err := format(device, wanted)
	if err != nil {
		return err
	}
	options := append([]string{"defaults"}, settings.MountFlags...)
	switch fsType {
	case "ext4":
		if err := growOffline(device); err != nil {
			return err
		}
	case "xfs":
		// A restored copy has the identity of its original, which may be mounted on this machine.
		options = append(options, "nouuid")
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if _, err := run("mount", "-t", fsType, "-o", strings.Join(options, ","), device, path); err != nil {
		return err
	}
	if fsType == "xfs" {
		return growOnline(mount{path: path, fsType: fsType, source: device})
	}
	return nil
}

func (d *driver) NodeUnstageVolume(_ context.Context, q *csi.NodeUnstageVolumeRequest) (*csi.NodeUnstageVolumeResponse, error) {
	if err := required("volume id", q.VolumeId, "staging path", q.StagingTargetPath); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := unmount(q.StagingTargetPath); err != nil {
		return nil, internal(err)
	}
	device, err := loopOf(d.store.image(q.VolumeId))
	if err != nil || device == "" {
		return &csi.NodeUnstageVolumeResponse{}, internal(err)
	}
	others, err := mountsOf(device)
	if err != nil || len(others) > 0 {
		return &csi.NodeUnstageVolumeResponse{}, internal(err)
	}
	_, err = run("losetup", "--detach", device)
	return &csi.NodeUnstageVolumeResponse{}, internal(err)
}

func unmount(path string) error {
	for {
		mounted, err := isMounted(path)
		if err != nil || !mounted {
			return err
		}
		if _, err := run("umount", path); err != nil {
			return err
		}
	}
}
