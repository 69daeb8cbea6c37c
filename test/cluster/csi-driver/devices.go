package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

func run(command string, args ...string) (string, error) {
	output, err := exec.Command(command, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", command, strings.Join(args, " "), err, output)
	}
	return strings.TrimSpace(string(output)), nil
}

// loopOf returns the loop device of an image, "" when there is none.
func loopOf(image string) (string, error) {
	output, err := run("losetup", "--associated", image, "--noheadings", "--output", "NAME")
	return strings.TrimSpace(strings.SplitN(output, "\n", 2)[0]), err
}

func attach(image string) (string, error) {
	device, err := loopOf(image)
	if err != nil || device != "" {
		return device, err
	}
	return run("losetup", "--find", "--show", image)
}

type mount struct{ path, fsType, source string }

func mounts() ([]mount, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []mount
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		before, after, _ := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) > 4 && len(right) > 1 {
			found = append(found, mount{path: left[4], fsType: right[0], source: right[1]})
		}
	}
	return found, nil
}

func mountsOf(device string) ([]mount, error) {
	all, err := mounts()
	var found []mount
	for _, m := range all {
		if m.source == device {
			found = append(found, m)
		}
	}
	return found, err
}

// isMounted also knows bind-mounted device files, which mountpoint(1) does not.
func isMounted(path string) (bool, error) {
	all, err := mounts()
	for _, m := range all {
		if m.path == path {
			return true, err
		}
	}
	return false, err
}

// format makes a file system on an empty device, and returns the type of the one that is there.
func format(device, fsType string) (string, error) {
	// Exit code 2: nothing found.
	found, err := exec.Command("blkid", "-p", "-s", "TYPE", "-o", "value", device).Output()
	if exit, ok := err.(*exec.ExitError); err != nil && !(ok && exit.ExitCode() == 2) {
		return "", err
	}
	if existing := strings.TrimSpace(string(found)); existing != "" {
		return existing, nil
	}
	flags := []string{"-q"}
	switch fsType {
	case "ext4":
		flags = append(flags, "-m0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard")
	case "xfs":
		flags = append(flags, "--unsupported") // allows less than 300 MiB
	}
	_, err = run("mkfs."+fsType, append(flags, device)...)
	return fsType, err
}

// growOffline fits an unmounted ext4 to its device. Online growth wants CAP_SYS_RESOURCE, which a test may lack.
func growOffline(device string) error {
	filled, err := fillsDevice(device)
	if err != nil || filled {
		return err
	}
	// 1: errors were corrected, such as a journal to replay.
	err = exec.Command("e2fsck", "-f", "-p", device).Run()
	if exit, ok := err.(*exec.ExitError); err != nil && !(ok && exit.ExitCode() == 1) {
		return fmt.Errorf("e2fsck %s: %w", device, err)
	}
	_, err = run("resize2fs", device)
	return err
}

// fillsDevice reads ext4's superblock: block count at byte 4, log2 of the block size less 10 at byte 24.
func fillsDevice(device string) (bool, error) {
	file, err := os.Open(device)
	if err != nil {
		return false, err
	}
	defer file.Close()
	var superblock [28]byte
	if _, err := file.ReadAt(superblock[:], 1024); err != nil {
		return false, err
	}
	size, err := file.Seek(0, 2)
	blockSize := int64(1024) << binary.LittleEndian.Uint32(superblock[24:])
	return int64(binary.LittleEndian.Uint32(superblock[4:]))*blockSize > size-blockSize, err
}

func growOnline(m mount) error {
	var err error
	switch m.fsType {
	case "xfs":
		_, err = run("xfs_growfs", m.path)
	case "ext4":
		_, err = run("resize2fs", m.source)
	}
	return err
}

// copyImage shares blocks where the store can, and keeps holes where it cannot.
func copyImage(source, target string) error {
	_, err := run("cp", "--reflink=auto", "--sparse=always", source, target)
	return err
}

const fiFreeze, fiThaw = 0xC0045877, 0xC0045878

// frozen runs action while every one of the images stands still: their file systems take no writes, and all that was
// written is in the image. What is written to two volumes one after the other is thus never cut the other way round.
func frozen(images []string, action func() error) (err error) {
	for _, image := range images {
		thaw, freezeErr := freeze(image)
		if freezeErr != nil {
			return freezeErr
		}
		defer func() {
			if thawErr := thaw(); err == nil {
				err = thawErr
			}
		}()
	}
	return action()
}

func freeze(image string) (thaw func() error, err error) {
	nothing := func() error { return nil }
	device, err := loopOf(image)
	if err != nil || device == "" {
		return nothing, err
	}
	places, err := mountsOf(device)
	if err != nil {
		return nothing, err
	}
	if len(places) == 0 {
		return nothing, flush(device)
	}
	folder, err := os.Open(places[0].path)
	if err != nil {
		return nothing, err
	}
	if err := unix.IoctlSetInt(int(folder.Fd()), fiFreeze, 0); err != nil {
		folder.Close()
		return nothing, fmt.Errorf("freeze %s: %w", places[0].path, err)
	}
	thaw = func() error {
		defer folder.Close()
		return unix.IoctlSetInt(int(folder.Fd()), fiThaw, 0)
	}
	if err := flush(device); err != nil {
		return nothing, errJoin(err, thaw())
	}
	return thaw, nil
}

func errJoin(first, second error) error {
	if second != nil {
		return fmt.Errorf("%w; and %w", first, second)
	}
	return first
}

// flush brings what was written to the device into its image.
func flush(device string) error {
	file, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
