package configdrive_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"ferrodur/bootsvc/agent/configdrive"
)

const (
	imageBytes = 40 << 20
	diskBytes  = 200<<20 + 512*7
)

func run(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, output)
	}
	return string(output)
}

// disk is a file that holds an image of a root partition that ends where the image ends.
func disk(t *testing.T, table bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, imageBytes); err != nil {
		t.Fatal(err)
	}
	if table {
		run(t, "sgdisk", "--new=1:2048:4095", "--new=2:4096:0", path)
	}
	if err := os.Truncate(path, diskBytes); err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path string, files map[string]string) error {
	t.Helper()
	device, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	return configdrive.Write(device, diskBytes, files)
}

func overwrite(t *testing.T, path string, text []byte, offset int64) {
	t.Helper()
	device, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	if _, err := device.WriteAt(text, offset); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string, offset int64, length int) []byte {
	t.Helper()
	device, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	text := make([]byte, length)
	if _, err := device.ReadAt(text, offset); err != nil {
		t.Fatal(err)
	}
	return text
}

var files = map[string]string{
	"meta-data": "instance-id: instance/o-1\n", "network-config": strings.Repeat("x", 5000), "user-data": "", "vendor-data": "#cloud-config\n",
}

// The partition table is whole by sgdisk's judgement, and blkid finds what cloud-init
// looks for.
func TestDriveIsFoundAndRead(t *testing.T) {
	path := disk(t, true)
	image := []byte("the image's own bytes")
	overwrite(t, path, image, 4096*512)
	if err := write(t, path, files); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path, 4096*512, len(image)); string(got) != string(image) {
		t.Errorf("the image's root partition begins with %q", got)
	}
	if verdict := run(t, "sgdisk", "--verify", path); !strings.Contains(verdict, "No problems found") {
		t.Errorf("sgdisk says: %s", verdict)
	}
	start := ""
	for line := range strings.Lines(run(t, "sgdisk", "--info=3", path)) {
		if value, found := strings.CutPrefix(line, "First sector: "); found {
			start = strings.Fields(value)[0]
		}
	}
	drive := filepath.Join(t.TempDir(), "drive")
	run(t, "dd", "if="+path, "of="+drive, "bs=512", "skip="+start, "count=32768", "status=none")
	if found := run(t, "blkid", "-o", "export", drive); !strings.Contains(found, "LABEL=cidata\n") || !strings.Contains(found, "TYPE=iso9660\n") {
		t.Errorf("blkid says: %s", found)
	}
	// The kernel that runs the tests may have no iso9660: another reader than the writer is
	// cloud-init's, in the end-to-end test.
	device, err := os.Open(drive)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	system, err := iso9660.Read(file.New(device, true), configdrive.Bytes, 0, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := system.ReadFile(name)
		if err != nil || string(got) != want {
			t.Errorf("%s holds %d bytes (%v), want %d", name, len(got), err, len(want))
		}
	}
}

// The image's last partition can grow up to the drive.
func TestRootCanGrow(t *testing.T) {
	path := disk(t, true)
	if err := write(t, path, files); err != nil {
		t.Fatal(err)
	}
	run(t, "sgdisk", "--delete=2", "--new=2:4096:0", path)
	if verdict := run(t, "sgdisk", "--verify", path); !strings.Contains(verdict, "No problems found") {
		t.Errorf("after the growth sgdisk says: %s", verdict)
	}
	var sectors string
	for line := range strings.Lines(run(t, "sgdisk", "--info=2", path)) {
		if value, found := strings.CutPrefix(line, "Partition size: "); found {
			sectors = strings.Fields(value)[0]
		}
	}
	if len(sectors) < 6 {
		t.Errorf("the root partition grew to %s sectors only", sectors)
	}
}

func TestWhatCannotBe(t *testing.T) {
	if err := write(t, disk(t, false), files); !errors.Is(err, configdrive.ErrNoTable) {
		t.Errorf("an image without a table: %v", err)
	}
	full := disk(t, true)
	run(t, "sgdisk", "--move-second-header", "--delete=2", "--new=2:4096:0", full)
	if err := write(t, full, files); !errors.Is(err, configdrive.ErrNoRoom) {
		t.Errorf("a full disk: %v", err)
	}
}
