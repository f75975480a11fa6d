package process

import (
	"errors"
	"testing"
)

func TestParseStat(t *testing.T) {
	const tail = " S 1 42 42 0 -1 4194560 500 0 0 0 1 2 0 0 20 0 1 0 987654 2703360 300"
	tests := []struct {
		text    string
		started uint64
		err     error
	}{
		{"42 (sleep)" + tail, 987654, nil},
		{"42 (a ) b (c)" + tail, 987654, nil},
		{"42 sleep", 0, errStat},
		{"42 (sleep) S 1 2 3", 0, errStat},
		{"", 0, errStat},
	}
	for _, test := range tests {
		got, err := parseStat([]byte(test.text))
		if got.started != test.started || !errors.Is(err, test.err) {
			t.Errorf("%q: %v, %v", test.text, got, err)
		}
	}
	if got, err := parseStat([]byte("42 (sleep) Z" + tail[2:])); err != nil || !got.dead {
		t.Errorf("zombie: %v, %v", got, err)
	}
}
