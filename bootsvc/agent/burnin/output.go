package burnin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// stressLine is a line of `stress-ng --metrics-brief`: a stressor, its bogo operations,
// three times, and the operations by second of real time.
var stressLine = regexp.MustCompile(`(?m)^stress-ng: \S+\s+\[\d+\] +([a-z][a-z0-9-]*) +(\d+) +[\d.]+ +[\d.]+ +[\d.]+ +([\d.]+)`)

func stressMetrics(stdout, stderr []byte) (map[string]float64, error) {
	metrics := map[string]float64{}
	for _, output := range [][]byte{stdout, stderr} {
		for _, match := range stressLine.FindAllSubmatch(output, -1) {
			rate, err := strconv.ParseFloat(string(match[3]), 64)
			if err == nil {
				metrics[string(match[1])+"_bogo_ops_per_s"] = rate
			}
		}
	}
	if len(metrics) == 0 {
		return nil, errors.New("stress-ng ended without saying what it did")
	}
	return metrics, nil
}

// fioOutput is what is read of `fio --output-format=json` (fio(1), "JSON OUTPUT").
type fioOutput struct {
	Jobs []struct {
		Error       int          `json:"error"`
		TotalErrors int          `json:"total_err"`
		Read        fioDirection `json:"read"`
		Write       fioDirection `json:"write"`
	} `json:"jobs"`
}

type fioDirection struct {
	BandwidthKiB float64 `json:"bw"` // KiB/s
	IOPS         float64 `json:"iops"`
}

func fioMetrics(stdout, _ []byte) (map[string]float64, error) {
	// fio prints its warnings before the document.
	start := bytes.IndexByte(stdout, '{')
	if start < 0 {
		return nil, errors.New("fio printed no result")
	}
	var output fioOutput
	if err := json.Unmarshal(stdout[start:], &output); err != nil {
		return nil, fmt.Errorf("fio's result cannot be read: %w", err)
	}
	if len(output.Jobs) == 0 {
		return nil, errors.New("fio's result has no job")
	}
	for _, j := range output.Jobs {
		if j.Error != 0 || j.TotalErrors != 0 {
			return nil, fmt.Errorf("fio counted %d errors (first: errno %d)", max(1, j.TotalErrors), j.Error)
		}
	}
	j := output.Jobs[0]
	return map[string]float64{
		"read_mib_per_s": j.Read.BandwidthKiB / 1024, "read_iops": j.Read.IOPS,
		"write_mib_per_s": j.Write.BandwidthKiB / 1024, "write_iops": j.Write.IOPS,
	}, nil
}
