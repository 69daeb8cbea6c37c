package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
)

func (d *driver) NodePublishVolume(_ context.Context, q *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if err := required("volume id", q.VolumeId, "target path", q.TargetPath); err != nil {
		return nil, err
	}
	if q.VolumeCapability == nil {
		return nil, fail(codes.InvalidArgument, "capability is missing")
	}
	if q.StagingTargetPath == "" {
		return nil, fail(codes.FailedPrecondition, "staging path is missing")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.volume(q.VolumeId)
	if err != nil {
		return nil, err
	}
	origin := q.StagingTargetPath
	isBlock := q.VolumeCapability.GetBlock() != nil
	if isBlock {
		if origin, err = loopOf(d.store.image(v.ID)); err != nil {
			return nil, internal(err)
		}
		if origin == "" {
			return nil, fail(codes.FailedPrecondition, "%s is not staged", v.ID)
		}
	}
	if err := makeTarget(q.TargetPath, isBlock); err != nil {
		return nil, internal(err)
	}
	return &csi.NodePublishVolumeResponse{}, internal(bind(origin, q.TargetPath, q.Readonly))
}

// makeTarget: a device is bound upon a file, a file system upon a folder.
func makeTarget(path string, isFile bool) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if !isFile {
		return os.MkdirAll(path, 0o755)
	}
	file, err := os.OpenFile(path, os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

func bind(origin, target string, readonly bool) error {
	mounted, err := isMounted(target)
	if err != nil || mounted {
		return err
	}
	if _, err := run("mount", "--bind", origin, target); err != nil {
		return err
	}
	if readonly {
		_, err = run("mount", "-o", "remount,bind,ro", target)
	}
	return err
}

func (d *driver) NodeUnpublishVolume(_ context.Context, q *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if err := required("volume id", q.VolumeId, "target path", q.TargetPath); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := unmount(q.TargetPath); err != nil {
		return nil, internal(err)
	}
	if err := os.Remove(q.TargetPath); err != nil && !os.IsNotExist(err) {
		return nil, internal(err)
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

func (d *driver) NodeExpandVolume(_ context.Context, q *csi.NodeExpandVolumeRequest) (*csi.NodeExpandVolumeResponse, error) {
	if err := required("volume id", q.VolumeId, "volume path", q.VolumePath); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.volume(q.VolumeId)
	if err != nil {
		return nil, err
	}
	device, err := loopOf(d.store.image(v.ID))
	if err != nil {
		return nil, internal(err)
	}
	if device == "" {
		return nil, fail(codes.FailedPrecondition, "%s is not staged", v.ID)
	}
	if _, err := run("losetup", "--set-capacity", device); err != nil {
		return nil, internal(err)
	}
	places, err := mountsOf(device)
	if err != nil {
		return nil, internal(err)
	}
	if len(places) > 0 {
		if err := growOnline(places[0]); err != nil {
			return nil, internal(err)
		}
	}
	return &csi.NodeExpandVolumeResponse{CapacityBytes: v.Size}, nil
}

func (d *driver) NodeGetVolumeStats(_ context.Context, q *csi.NodeGetVolumeStatsRequest) (*csi.NodeGetVolumeStatsResponse, error) {
	if err := required("volume id", q.VolumeId, "volume path", q.VolumePath); err != nil {
		return nil, err
	}
	v, err := d.volume(q.VolumeId)
	if err != nil {
		return nil, err
	}
	var file unix.Stat_t
	if err := unix.Stat(q.VolumePath, &file); err != nil {
		return nil, fail(codes.NotFound, "%s: %v", q.VolumePath, err)
	}
	if file.Mode&unix.S_IFMT == unix.S_IFBLK {
		usage := &csi.VolumeUsage{Total: v.Size, Unit: csi.VolumeUsage_BYTES}
		return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{usage}}, nil
	}
	var s unix.Statfs_t
	if err := unix.Statfs(q.VolumePath, &s); err != nil {
		return nil, internal(err)
	}
	block := int64(s.Bsize)
	return &csi.NodeGetVolumeStatsResponse{Usage: []*csi.VolumeUsage{
		{Total: int64(s.Blocks) * block, Available: int64(s.Bavail) * block, Used: int64(s.Blocks-s.Bfree) * block, Unit: csi.VolumeUsage_BYTES},
		{Total: int64(s.Files), Available: int64(s.Ffree), Used: int64(s.Files - s.Ffree), Unit: csi.VolumeUsage_INODES},
	}}, nil
}
