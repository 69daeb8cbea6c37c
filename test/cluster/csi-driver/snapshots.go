package main

import (
	"context"
	"os"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (s *snapshot) isReady() bool { return !time.Now().Before(s.Ready) }

func (s *snapshot) message() *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId: s.ID, SourceVolumeId: s.VolumeID, SizeBytes: s.Size, CreationTime: timestamppb.New(s.Created),
		ReadyToUse: s.isReady(), GroupSnapshotId: s.Group,
	}
}

func (d *driver) snapshot(id string) (*snapshot, error) {
	if err := required("snapshot id", id); err != nil {
		return nil, err
	}
	s, err := load[snapshot](d.store, id)
	if os.IsNotExist(err) {
		return nil, fail(codes.NotFound, "there is no snapshot %s", id)
	}
	return s, internal(err)
}

// newSnapshot describes a cut to be made now. Parameters of the class: `readyAfter: 5s` for one that is cut at once
// but cannot be used before, `zonal: "true"` for one that can be restored only in the zone of its volume.
func newSnapshot(v *volume, id string, params map[string]string) (*snapshot, error) {
	s := &snapshot{ID: id, VolumeID: v.ID, Size: v.Size, Created: time.Now()}
	s.Ready = s.Created
	if text := params["readyAfter"]; text != "" {
		delay, err := time.ParseDuration(text)
		if err != nil {
			return nil, fail(codes.InvalidArgument, "readyAfter: %v", err)
		}
		s.Ready = s.Created.Add(delay)
	}
	if params["zonal"] == "true" {
		s.Topology = v.Topology
	}
	return s, nil
}

// cut copies the images of all volumes of the snapshots at one moment, and records the snapshots.
func (d *driver) cut(snapshots []*snapshot) error {
	var images []string
	for _, s := range snapshots {
		images = append(images, d.store.image(s.VolumeID))
		if err := os.RemoveAll(d.store.image(s.ID)); err != nil {
			return err
		}
	}
	err := frozen(images, func() error {
		now := time.Now()
		for i, s := range snapshots {
			s.Ready = now.Add(s.Ready.Sub(s.Created))
			s.Created = now
			if err := copyImage(images[i], d.store.image(s.ID)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range snapshots {
		if err := d.store.save(s.ID, s); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) CreateSnapshot(_ context.Context, q *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	if err := required("name", q.Name, "source volume id", q.SourceVolumeId); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	id := newID(snapshotPrefix, q.Name)
	if s, err := load[snapshot](d.store, id); err == nil {
		if s.VolumeID != q.SourceVolumeId {
			return nil, fail(codes.AlreadyExists, "%s is a snapshot of another volume", q.Name)
		}
		return &csi.CreateSnapshotResponse{Snapshot: s.message()}, nil
	}
	v, err := d.volume(q.SourceVolumeId)
	if err != nil {
		return nil, err
	}
	s, err := newSnapshot(v, id, q.Parameters)
	if err != nil {
		return nil, err
	}
	if err := d.cut([]*snapshot{s}); err != nil {
		return nil, internal(err)
	}
	return &csi.CreateSnapshotResponse{Snapshot: s.message()}, nil
}

// DeleteSnapshot refuses members of a group, which go with the group.
func (d *driver) DeleteSnapshot(_ context.Context, q *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.snapshot(q.SnapshotId)
	if isNotFound(err) {
		return &csi.DeleteSnapshotResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	if s.Group != "" {
		return nil, fail(codes.InvalidArgument, "%s is a member of group %s", s.ID, s.Group)
	}
	return &csi.DeleteSnapshotResponse{}, internal(d.store.remove(s.ID))
}

func (d *driver) ListSnapshots(_ context.Context, q *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	all, err := list[snapshot](d.store, snapshotPrefix)
	if err != nil {
		return nil, internal(err)
	}
	var wanted []*snapshot
	for _, s := range all {
		if (q.SnapshotId == "" || q.SnapshotId == s.ID) && (q.SourceVolumeId == "" || q.SourceVolumeId == s.VolumeID) {
			wanted = append(wanted, s)
		}
	}
	page, next, err := pageOf(wanted, func(s *snapshot) string { return s.ID }, q.StartingToken, q.MaxEntries)
	if err != nil {
		return nil, err
	}
	answer := &csi.ListSnapshotsResponse{NextToken: next}
	for _, s := range page {
		answer.Entries = append(answer.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: s.message()})
	}
	return answer, nil
}
