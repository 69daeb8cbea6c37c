package main

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (d *driver) GroupControllerGetCapabilities(context.Context, *csi.GroupControllerGetCapabilitiesRequest) (*csi.GroupControllerGetCapabilitiesResponse, error) {
	rpc := &csi.GroupControllerServiceCapability_RPC{
		Type: csi.GroupControllerServiceCapability_RPC_CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT,
	}
	capability := &csi.GroupControllerServiceCapability{Type: &csi.GroupControllerServiceCapability_Rpc{Rpc: rpc}}
	return &csi.GroupControllerGetCapabilitiesResponse{
		Capabilities: []*csi.GroupControllerServiceCapability{capability},
	}, nil
}

func (d *driver) group(id string) (*group, error) {
	if err := required("group snapshot id", id); err != nil {
		return nil, err
	}
	g, err := load[group](d.store, id)
	if os.IsNotExist(err) {
		return nil, fail(codes.NotFound, "there is no group snapshot %s", id)
	}
	return g, internal(err)
}

// message: a group is ready when all its members are.
func (d *driver) message(g *group) (*csi.VolumeGroupSnapshot, error) {
	m := &csi.VolumeGroupSnapshot{GroupSnapshotId: g.ID, CreationTime: timestamppb.New(g.Created), ReadyToUse: true}
	for _, id := range g.Snapshots {
		s, err := d.snapshot(id)
		if err != nil {
			return nil, err
		}
		m.Snapshots = append(m.Snapshots, s.message())
		m.ReadyToUse = m.ReadyToUse && s.isReady()
	}
	return m, nil
}

func (d *driver) CreateVolumeGroupSnapshot(_ context.Context, q *csi.CreateVolumeGroupSnapshotRequest) (*csi.CreateVolumeGroupSnapshotResponse, error) {
	if err := required("name", q.Name, "source volume ids", strings.Join(q.SourceVolumeIds, "")); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	id := newID(groupPrefix, q.Name)
	volumeIDs := slices.Sorted(slices.Values(q.SourceVolumeIds))
	g, err := d.group(id)
	if isNotFound(err) {
		g, err = d.cutGroup(id, volumeIDs, q.Parameters)
	}
	if err != nil {
		return nil, err
	}
	if !slices.Equal(g.VolumeIDs, volumeIDs) {
		return nil, fail(codes.AlreadyExists, "%s is a snapshot of other volumes", q.Name)
	}
	m, err := d.message(g)
	return &csi.CreateVolumeGroupSnapshotResponse{GroupSnapshot: m}, err
}

func (d *driver) cutGroup(id string, volumeIDs []string, params map[string]string) (*group, error) {
	g := &group{ID: id, VolumeIDs: volumeIDs}
	var members []*snapshot
	for i, volumeID := range volumeIDs {
		v, err := d.volume(volumeID)
		if err != nil {
			return nil, err
		}
		memberID := newID(snapshotPrefix, id+"-"+strconv.Itoa(i))
		s, err := newSnapshot(v, memberID, params)
		if err != nil {
			return nil, err
		}
		s.Group = id
		members = append(members, s)
		g.Snapshots = append(g.Snapshots, memberID)
	}
	if err := d.cut(members); err != nil {
		return nil, internal(err)
	}
	g.Created = members[0].Created
	return g, internal(d.store.save(id, g))
}

func (d *driver) DeleteVolumeGroupSnapshot(_ context.Context, q *csi.DeleteVolumeGroupSnapshotRequest) (*csi.DeleteVolumeGroupSnapshotResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g, err := d.group(q.GroupSnapshotId)
	if isNotFound(err) {
		return &csi.DeleteVolumeGroupSnapshotResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	for _, id := range append(g.Snapshots, g.ID) {
		if err := d.store.remove(id); err != nil {
			return nil, internal(err)
		}
	}
	return &csi.DeleteVolumeGroupSnapshotResponse{}, nil
}

func (d *driver) GetVolumeGroupSnapshot(_ context.Context, q *csi.GetVolumeGroupSnapshotRequest) (*csi.GetVolumeGroupSnapshotResponse, error) {
	g, err := d.group(q.GroupSnapshotId)
	if err != nil {
		return nil, err
	}
	m, err := d.message(g)
	return &csi.GetVolumeGroupSnapshotResponse{GroupSnapshot: m}, err
}
