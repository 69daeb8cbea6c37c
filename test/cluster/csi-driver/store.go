package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"
)

// Records of what there is: one JSON file each in the data folder, beside the image of the same name.

const (
	volumePrefix   = "vol-"
	snapshotPrefix = "snap-"
	groupPrefix    = "group-"
)

type volume struct {
	ID          string
	Size        int64
	Block       bool
	Topology    map[string]string
	Params      map[string]string
	SourceSnap  string
	SourceVol   string
	Attachments []attachment
}

type attachment struct {
	Node     string
	Readonly bool
}

type snapshot struct {
	ID, VolumeID, Group string
	Size                int64
	Created, Ready      time.Time
	// Set for snapshots that stay in the zone of their volume.
	Topology map[string]string
}

type group struct {
	ID        string
	VolumeIDs []string
	Snapshots []string
	Created   time.Time
}

type store struct{ folder string }

func (s store) image(id string) string  { return filepath.Join(s.folder, id+".img") }
func (s store) record(id string) string { return filepath.Join(s.folder, id+".json") }
func (s store) node(id string) string   { return filepath.Join(s.folder, "nodes", id) }

func (s store) prepare() error {
	for _, name := range []string{"faults", "nodes"} {
		if err := os.MkdirAll(filepath.Join(s.folder, name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (s store) addNode(id string) error { return os.WriteFile(s.node(id), nil, 0o644) }

func (s store) hasNode(id string) bool {
	_, err := os.Stat(s.node(id))
	return err == nil
}

// save replaces a record at once: instances read each other's records at any time.
func (s store) save(id string, record any) error {
	bytes, err := json.Marshal(record)
	if err != nil {
		return err
	}
	unfinished := s.record(id) + ".tmp"
	if err := os.WriteFile(unfinished, bytes, 0o644); err != nil {
		return err
	}
	return os.Rename(unfinished, s.record(id))
}

// remove deletes a record and its image; what is gone already is no error.
func (s store) remove(id string) error {
	for _, path := range []string{s.record(id), s.image(id)} {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

func load[T any](s store, id string) (*T, error) {
	bytes, err := os.ReadFile(s.record(filepath.Base(id)))
	if err != nil {
		return nil, err
	}
	var record T
	return &record, json.Unmarshal(bytes, &record)
}

// list returns the records whose id has the prefix, by id.
func list[T any](s store, prefix string) ([]*T, error) {
	paths, err := filepath.Glob(filepath.Join(s.folder, prefix+"*.json"))
	if err != nil {
		return nil, err
	}
	sort.Strings(paths)
	var found []*T
	for _, path := range paths {
		record, err := load[T](s, strings.TrimSuffix(filepath.Base(path), ".json"))
		if os.IsNotExist(err) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		found = append(found, record)
	}
	return found, nil
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$`)

// newID is the same for the same name: creating twice finds the first.
func newID(prefix, name string) string {
	if plainName.MatchString(name) {
		return prefix + name
	}
	sum := sha256.Sum256([]byte(name))
	return prefix + hex.EncodeToString(sum[:16])
}
