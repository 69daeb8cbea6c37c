package main

import (
	"context"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

// zoneKey is what volumes are bound to.
const zoneKey = "topology.kubernetes.io/zone"

// place chooses the zone of a new volume: the first that is asked for, has room, and can reach the source.
// RESOURCE_EXHAUSTED is CSI's code for "not in these zones"; the scheduler then tries another node, if the pod may.
func (d *driver) place(v *volume, from *source, wanted *csi.TopologyRequirement) error {
	if wanted == nil {
		return nil
	}
	bound := ""
	if from != nil {
		bound = from.topology[zoneKey]
	}
	for _, candidate := range append(append([]*csi.Topology{}, wanted.Preferred...), wanted.Requisite...) {
		zone, ok := candidate.Segments[zoneKey]
		if !ok || (bound != "" && zone != bound) {
			continue
		}
		room, err := d.roomIn(zone)
		if err != nil {
			return internal(err)
		}
		if room >= v.Size {
			v.Topology = map[string]string{zoneKey: zone}
			return nil
		}
	}
	if bound != "" {
		return fail(codes.ResourceExhausted, "the source exists only in zone %s", bound)
	}
	return fail(codes.ResourceExhausted, "no zone that is asked for has room for %d bytes", v.Size)
}

// roomIn counts the sizes of volumes, not what they take; volumes without a zone count in every one.
func (d *driver) roomIn(zone string) (int64, error) {
	all, err := list[volume](d.store, volumePrefix)
	room := d.capacity
	for _, v := range all {
		if bound := v.Topology[zoneKey]; bound == "" || zone == "" || bound == zone {
			room -= v.Size
		}
	}
	return max(0, room), err
}

func (d *driver) GetCapacity(_ context.Context, q *csi.GetCapacityRequest) (*csi.GetCapacityResponse, error) {
	room, err := d.roomIn(q.GetAccessibleTopology().GetSegments()[zoneKey])
	return &csi.GetCapacityResponse{AvailableCapacity: room}, internal(err)
}
