package ipam

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jszwec/csvutil"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// LineError says what is wrong with a line of a file.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *LineError) Unwrap() error { return e.Err }

// ImportErrors are all that is wrong with a file, by line.
type ImportErrors []*LineError

func (e ImportErrors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// WriteCSV writes records of one table, under NetBox's names of its columns.
func WriteCSV(w io.Writer, table Table, records []Record) error {
	writer := csv.NewWriter(w)
	encoder := csvutil.NewEncoder(writer)
	header, err := csvutil.Header(Record{}, "csv")
	if err != nil {
		return err
	}
	other := map[Table][]string{Prefixes: {"address", "dns_name"}, IPAddresses: {"prefix", "is_pool", "scope_type", "scope_name"}}[table]
	encoder.SetHeader(slices.DeleteFunc(header, func(column string) bool { return slices.Contains(other, column) }))
	if err := encoder.EncodeHeader(Record{}); err != nil {
		return err
	}
	for _, record := range records {
		if err := encoder.Encode(record); err != nil {
			return err
		}
	}
	writer.Flush()
	return writer.Error()
}

// WriteJSON writes records as one array, a record a line.
func WriteJSON(w io.Writer, records []Record) error {
	var b bytes.Buffer
	b.WriteString("[")
	for i, record := range records {
		if i > 0 {
			b.WriteString(",")
		}
		line, err := json.Marshal(record)
		if err != nil {
			return err
		}
		b.WriteString("\n  ")
		b.Write(line)
	}
	b.WriteString("\n]\n")
	_, err := w.Write(b.Bytes())
	return err
}

// ReadCSV reads records. Its error is ImportErrors: every line that has another form.
// Columns that are not known are passed over: NetBox exports many.
func ReadCSV(r io.Reader) ([]Record, error) {
	// Spreadsheets begin UTF-8 files with a byte order mark.
	reader := csv.NewReader(transform.NewReader(r, unicode.BOMOverride(transform.Nop)))
	reader.FieldsPerRecord = -1
	decoder, err := csvutil.NewDecoder(reader)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file has no header")
		}
		return nil, ImportErrors{{Line: 1, Err: err}}
	}
	header := decoder.Header()
	if !slices.Contains(header, "prefix") && !slices.Contains(header, "address") {
		return nil, ImportErrors{{Line: 1, Err: errors.New("the header has no column prefix and none address")}}
	}
	decoder.AlignRecord = true // what is missing at the end of a line is empty
	decoder.Map = func(field, column string, _ any) string {
		if column == "is_pool" { // as Python and people write it
			return strings.ToLower(cmp.Or(field, "false"))
		}
		return cmp.Or(field, map[string]string{"cf_ferrodur_threshold": "0"}[column])
	}
	var (
		records []Record
		wrong   ImportErrors
	)
	site := slices.Index(header, "site") // NetBox before 4.2 has this one for the scope
	for {
		var record Record
		err := decoder.Decode(&record)
		if errors.Is(err, io.EOF) {
			break
		}
		var form *csv.ParseError
		if errors.As(err, &form) {
			return nil, append(wrong, &LineError{Line: form.StartLine, Err: form.Err})
		}
		record.Line, _ = reader.FieldPos(0)
		if err != nil {
			wrong = append(wrong, &LineError{Line: record.Line, Err: errors.New(strings.TrimPrefix(err.Error(), "csvutil: "))})
			continue
		}
		if row := decoder.Record(); site >= 0 && site < len(row) {
			record.ScopeName = cmp.Or(record.ScopeName, row[site])
		}
		records = append(records, record)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return records, nil
}

// ReadJSON reads an array of records. Its error is ImportErrors.
func ReadJSON(r io.Reader) ([]Record, error) {
	text, err := io.ReadAll(transform.NewReader(r, unicode.BOMOverride(transform.Nop)))
	if err != nil {
		return nil, err
	}
	line := func(offset int64) int { return 1 + bytes.Count(text[:min(int(offset), len(text))], []byte("\n")) }
	decoder := json.NewDecoder(bytes.NewReader(text))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return nil, ImportErrors{{Line: 1, Err: errors.New("the file is no JSON array")}}
	}
	var (
		records []Record
		wrong   ImportErrors
	)
	for decoder.More() {
		var one json.RawMessage
		if err := decoder.Decode(&one); err != nil {
			at := line(decoder.InputOffset())
			if errors.Is(err, io.ErrUnexpectedEOF) {
				at, err = line(int64(len(text))), errors.New("the file ends too early")
			}
			return nil, append(wrong, &LineError{Line: at, Err: err})
		}
		at := line(decoder.InputOffset() - int64(len(one)))
		var record Record
		if err := json.Unmarshal(one, &record); err != nil {
			wrong = append(wrong, &LineError{Line: at, Err: err})
			continue
		}
		record.Line = at
		records = append(records, record)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, append(wrong, &LineError{Line: line(decoder.InputOffset()), Err: errors.New("the array is not closed")})
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return records, nil
}
