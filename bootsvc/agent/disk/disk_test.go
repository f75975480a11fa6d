package disk_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"ferrodur/bootsvc/agent/disk"
	"ferrodur/bootsvc/job"
	"ferrodur/report"
)

const diskBytes = 40 << 20

// open is a disk that is full of an earlier tenant's data.
func open(t *testing.T) *disk.Device {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, bytes.Repeat([]byte("old data"), diskBytes/8), 0o600); err != nil {
		t.Fatal(err)
	}
	device, err := disk.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = device.Close() })
	return device
}

// raw is an image with data, a hole, data, and an odd length.
func raw() []byte {
	image := make([]byte, 7<<20+512)
	copy(image, "the beginning")
	copy(image[3<<20+5:], "the middle")
	copy(image[len(image)-7:], "the end")
	return image
}

func compressed(t *testing.T, image []byte) ([]byte, job.Image) {
	t.Helper()
	var out bytes.Buffer
	encoder, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	_, err = encoder.Write(image)
	if err := errors.Join(err, encoder.Close()); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(out.Bytes())
	return out.Bytes(), job.Image{Name: "x", SHA256: hex.EncodeToString(digest[:]), Bytes: uint64(len(image))}
}

func nothing(uint64) {}

func content(t *testing.T, device *disk.Device) []byte {
	t.Helper()
	text, err := os.ReadFile(device.Name())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The disk holds the image, and behind it nothing of what it held before.
func TestWriteImage(t *testing.T) {
	device, image := open(t), raw()
	if _, err := device.Empty(nothing); err != nil {
		t.Fatal(err)
	}
	source, order := compressed(t, image)
	var last uint64
	if err := device.WriteImage(bytes.NewReader(source), order, func(done uint64) { last = done }); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, diskBytes)
	copy(want, image)
	if !bytes.Equal(content(t, device), want) {
		t.Error("the disk does not hold the image, and zeros behind it")
	}
	if last != uint64(len(image)) {
		t.Errorf("progress ended at %d of %d", last, len(image))
	}
}

// Whatever is wrong with an image, the disk does not boot afterwards.
func TestWriteImageGoesWrong(t *testing.T) {
	image := raw()
	source, order := compressed(t, image)
	longer, shorter, changed := order, order, order
	longer.Bytes++
	shorter.Bytes -= 512
	changed.SHA256 = hex.EncodeToString(make([]byte, 32))
	damaged := bytes.Clone(source)
	damaged[len(damaged)/2] ^= 1
	broken := errors.New("the cable was pulled")
	for _, test := range []struct {
		name   string
		source io.Reader
		order  job.Image
		want   error // nil: any
	}{
		{"another digest", bytes.NewReader(source), changed, disk.ErrDigest},
		{"more behind the image", bytes.NewReader(append(bytes.Clone(source), 0)), order, nil},
		{"longer than ordered", bytes.NewReader(source), shorter, disk.ErrLength},
		{"shorter than ordered", bytes.NewReader(source), longer, disk.ErrLength},
		{"cut off", bytes.NewReader(source[:len(source)-9]), order, nil},
		{"damaged", bytes.NewReader(damaged), order, nil},
		{"no image at all", bytes.NewReader([]byte("<html>")), order, nil},
		{"empty", bytes.NewReader(nil), order, nil},
		{"broken off", io.MultiReader(bytes.NewReader(source[:50]), &failing{broken}), order, broken},
	} {
		t.Run(test.name, func(t *testing.T) {
			device := open(t)
			err := device.WriteImage(test.source, test.order, nothing)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			text := content(t, device)
			if !bytes.Equal(text[:1<<20], make([]byte, 1<<20)) || !bytes.Equal(text[diskBytes-1<<20:], make([]byte, 1<<20)) {
				t.Error("the disk's beginning or end is still there")
			}
		})
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func TestEmptyAndOverwrite(t *testing.T) {
	for name, empty := range map[string]func(*disk.Device) error{
		"empty":     func(d *disk.Device) error { _, err := d.Empty(nothing); return err },
		"overwrite": func(d *disk.Device) error { return d.Overwrite(nothing) },
	} {
		device := open(t)
		if zero, err := device.IsZero(diskBytes-10, 10); zero || err != nil {
			t.Errorf("%s: a full disk is zero: %v (%v)", name, zero, err)
		}
		if err := empty(device); err != nil {
			t.Fatal(err)
		}
		if zero, err := device.IsZero(0, diskBytes); !zero || err != nil {
			t.Errorf("%s: the disk is zero: %v (%v)", name, zero, err)
		}
	}
}

func TestChoose(t *testing.T) {
	image := job.Image{Name: "debian-12", Bytes: 2 << 30}
	disks := []report.Disk{{Path: "/dev/sda", Bytes: 8 << 30}, {Path: "/dev/sdb", Bytes: 4 << 30}, {Path: "/dev/sdc", Bytes: 2 << 30}}
	for _, test := range []struct {
		named, want string
	}{{"", "/dev/sdb"}, {"/dev/sda", "/dev/sda"}, {"/dev/sdc", ""}, {"/dev/sdz", ""}} {
		got, err := disk.Choose(disks, test.named, image)
		if got.Path != test.want || (err != nil) != (test.want == "") || err != nil && !errors.Is(err, disk.ErrNoDisk) {
			t.Errorf("named %q: %q (%v), want %q", test.named, got.Path, err, test.want)
		}
	}
}
