package main

import (
	"context"
	"slices"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

func (d *driver) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	answer := &csi.ControllerGetCapabilitiesResponse{}
	for _, t := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME,
		csi.ControllerServiceCapability_RPC_PUBLISH_READONLY,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
		csi.ControllerServiceCapability_RPC_LIST_VOLUMES,
		csi.ControllerServiceCapability_RPC_GET_CAPACITY,
		csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
		csi.ControllerServiceCapability_RPC_EXPAND_VOLUME,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		answer.Capabilities = append(answer.Capabilities, &csi.ControllerServiceCapability{
			Type: &csi.ControllerServiceCapability_Rpc{Rpc: &csi.ControllerServiceCapability_RPC{Type: t}},
		})
	}
	return answer, nil
}

func isForManyNodes(mode csi.VolumeCapability_AccessMode_Mode) bool {
	switch mode {
	case csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER,
		csi.VolumeCapability_AccessMode_MULTI_NODE_SINGLE_WRITER,
		csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY:
		return true
	}
	return false
}

// ControllerPublishVolume keeps to the rule of block stores: one node, unless the volume is for many; and only in
// the volume's zone, which Kubernetes sees to.
func (d *driver) ControllerPublishVolume(_ context.Context, q *csi.ControllerPublishVolumeRequest) (*csi.ControllerPublishVolumeResponse, error) {
	if err := required("volume id", q.VolumeId, "node id", q.NodeId); err != nil {
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
	if !d.store.hasNode(q.NodeId) {
		return nil, fail(codes.NotFound, "there is no node %s", q.NodeId)
	}
	for _, a := range v.Attachments {
		if a.Node == q.NodeId && a.Readonly != q.Readonly {
			return nil, fail(codes.AlreadyExists, "%s is attached to %s with readonly=%v", v.ID, a.Node, a.Readonly)
		}
		if a.Node == q.NodeId {
			return &csi.ControllerPublishVolumeResponse{}, nil
		}
	}
	if len(v.Attachments) > 0 && !isForManyNodes(q.VolumeCapability.GetAccessMode().GetMode()) {
		return nil, fail(codes.FailedPrecondition, "%s is attached to %s already", v.ID, v.Attachments[0].Node)
	}
	v.Attachments = append(v.Attachments, attachment{Node: q.NodeId, Readonly: q.Readonly})
	return &csi.ControllerPublishVolumeResponse{}, internal(d.store.save(v.ID, v))
}

// ControllerUnpublishVolume without a node detaches all.
func (d *driver) ControllerUnpublishVolume(_ context.Context, q *csi.ControllerUnpublishVolumeRequest) (*csi.ControllerUnpublishVolumeResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.volume(q.VolumeId)
	if isNotFound(err) {
		return &csi.ControllerUnpublishVolumeResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	v.Attachments = slices.DeleteFunc(v.Attachments, func(a attachment) bool {
		return q.NodeId == "" || a.Node == q.NodeId
	})
	return &csi.ControllerUnpublishVolumeResponse{}, internal(d.store.save(v.ID, v))
}

func (d *driver) ValidateVolumeCapabilities(_ context.Context, q *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if _, err := d.volume(q.VolumeId); err != nil {
		return nil, err
	}
	if len(q.VolumeCapabilities) == 0 {
		return nil, fail(codes.InvalidArgument, "capabilities are missing")
	}
	confirmed := &csi.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: q.VolumeCapabilities}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: confirmed}, nil
}
