package main

import (
	"context"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

const mebibyte = 1 << 20

func roundUp(size int64) int64 { return (max(size, 1) + mebibyte - 1) / mebibyte * mebibyte }

func (d *driver) volume(id string) (*volume, error) {
	if err := required("volume id", id); err != nil {
		return nil, err
	}
	v, err := load[volume](d.store, id)
	if os.IsNotExist(err) {
		return nil, fail(codes.NotFound, "there is no volume %s", id)
	}
	return v, internal(err)
}

func (v *volume) message(source *csi.VolumeContentSource) *csi.Volume {
	m := &csi.Volume{VolumeId: v.ID, CapacityBytes: v.Size, ContentSource: source, VolumeContext: map[string]string{"backing": "loop"}}
	if len(v.Topology) > 0 {
		m.AccessibleTopology = []*csi.Topology{{Segments: v.Topology}}
	}
	return m
}

func (d *driver) CreateVolume(_ context.Context, q *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	if err := required("name", q.Name); err != nil {
		return nil, err
	}
	if len(q.VolumeCapabilities) == 0 {
		return nil, fail(codes.InvalidArgument, "capabilities are missing")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	size := roundUp(q.GetCapacityRange().GetRequiredBytes())
	limit := q.GetCapacityRange().GetLimitBytes()
	if limit > 0 && size > limit {
		return nil, fail(codes.OutOfRange, "volumes are multiples of 1 MiB, and %d is over the limit", size)
	}
	id := newID(volumePrefix, q.Name)
	if v, err := load[volume](d.store, id); err == nil {
		if v.Size < size || (limit > 0 && v.Size > limit) {
			return nil, fail(codes.AlreadyExists, "%s exists with another size", q.Name)
		}
		return &csi.CreateVolumeResponse{Volume: v.message(q.VolumeContentSource)}, nil
	}
	v := &volume{ID: id, Size: size, Params: q.Parameters}
	for _, capability := range q.VolumeCapabilities {
		v.Block = v.Block || capability.GetBlock() != nil
	}
	source, err := d.sourceOf(q.VolumeContentSource)
	if err != nil {
		return nil, err
	}
	if err := d.place(v, source, q.AccessibilityRequirements); err != nil {
		return nil, err
	}
	if err := d.fill(v, source); err != nil {
		return nil, err
	}
	return &csi.CreateVolumeResponse{Volume: v.message(q.VolumeContentSource)}, internal(d.store.save(id, v))
}

// source is what a new volume begins with.
type source struct {
	image    string
	size     int64
	topology map[string]string
	snapshot string
	volume   string
}

// sourceOf returns nil for a volume that begins empty.
func (d *driver) sourceOf(q *csi.VolumeContentSource) (*source, error) {
	if q == nil {
		return nil, nil
	}
	if id := q.GetVolume().GetVolumeId(); id != "" {
		v, err := d.volume(id)
		if err != nil {
			return nil, err
		}
		return &source{image: d.store.image(v.ID), size: v.Size, topology: v.Topology, volume: v.ID}, nil
	}
	s, err := d.snapshot(q.GetSnapshot().GetSnapshotId())
	if err != nil {
		return nil, err
	}
	if !s.isReady() {
		return nil, fail(codes.Unavailable, "snapshot %s is not ready yet", s.ID)
	}
	return &source{image: d.store.image(s.ID), size: s.Size, topology: s.Topology, snapshot: s.ID}, nil
}

// fill makes the image of a new volume.
func (d *driver) fill(v *volume, from *source) error {
	unfinished := d.store.image(v.ID) + ".tmp"
	if err := os.RemoveAll(unfinished); err != nil {
		return internal(err)
	}
	if from != nil {
		if from.size > v.Size {
			return fail(codes.OutOfRange, "%d bytes are less than the %d of the source", v.Size, from.size)
		}
		v.SourceSnap, v.SourceVol = from.snapshot, from.volume
		copying := func() error { return copyImage(from.image, unfinished) }
		if err := frozen([]string{from.image}, copying); err != nil {
			return internal(err)
		}
	}
	file, err := os.OpenFile(unfinished, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return internal(err)
	}
	defer file.Close()
	if err := file.Truncate(v.Size); err != nil {
		return internal(err)
	}
	return internal(os.Rename(unfinished, d.store.image(v.ID)))
}

func (d *driver) DeleteVolume(_ context.Context, q *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.volume(q.VolumeId)
	if isNotFound(err) {
		return &csi.DeleteVolumeResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	device, err := loopOf(d.store.image(v.ID))
	if err != nil {
		return nil, internal(err)
	}
	if device != "" {
		return nil, fail(codes.FailedPrecondition, "%s is in use at %s", v.ID, device)
	}
	return &csi.DeleteVolumeResponse{}, internal(d.store.remove(v.ID))
}

func (d *driver) ControllerExpandVolume(_ context.Context, q *csi.ControllerExpandVolumeRequest) (*csi.ControllerExpandVolumeResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, err := d.volume(q.VolumeId)
	if err != nil {
		return nil, err
	}
	if q.CapacityRange == nil {
		return nil, fail(codes.InvalidArgument, "capacity range is missing")
	}
	size := roundUp(q.CapacityRange.RequiredBytes)
	if limit := q.CapacityRange.LimitBytes; limit > 0 && size > limit {
		return nil, fail(codes.OutOfRange, "%d is over the limit", size)
	}
	if size > v.Size {
		if err := os.Truncate(d.store.image(v.ID), size); err != nil {
			return nil, internal(err)
		}
		v.Size = size
	}
	answer := &csi.ControllerExpandVolumeResponse{CapacityBytes: v.Size, NodeExpansionRequired: true}
	return answer, internal(d.store.save(v.ID, v))
}

func (d *driver) ListVolumes(_ context.Context, q *csi.ListVolumesRequest) (*csi.ListVolumesResponse, error) {
	all, err := list[volume](d.store, volumePrefix)
	if err != nil {
		return nil, internal(err)
	}
	page, next, err := pageOf(all, func(v *volume) string { return v.ID }, q.StartingToken, q.MaxEntries)
	if err != nil {
		return nil, err
	}
	answer := &csi.ListVolumesResponse{NextToken: next}
	for _, v := range page {
		answer.Entries = append(answer.Entries, &csi.ListVolumesResponse_Entry{Volume: v.message(nil)})
	}
	return answer, nil
}
