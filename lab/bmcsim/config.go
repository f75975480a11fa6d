package bmcsim

import (
	"bytes"
	"fmt"
	"strings"
	"text/template"
	"unicode"
)

// lanTemplate is in the form of ipmi_lan(5); chassis_control is not documented there.
// User 1 is the anonymous one, which IPMI prescribes and which is switched off here.
var lanTemplate = template.Must(template.New("lan").Parse(`name "{{.Name}}"
set_working_mc 0x20
  startlan 1
    addr {{.Address.Addr}} {{.Address.Port}}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{{.Chassis}} 0x20"
  user 1 false "" "" user 10 none md2 md5 straight
  user 2 true "{{.User}}" "{{.Password}}" admin 10 none md2 md5 straight
`))

func (c Config) lan() ([]byte, error) {
	for name, values := range map[string][]string{
		"name": {c.Name}, "user": {c.User}, "password": {c.Password}, "chassis control": c.ChassisControl,
	} {
		for _, value := range values {
			if !quotable(value) {
				return nil, fmt.Errorf("%s: %w", name, ErrUnquotable)
			}
		}
	}
	if strings.ContainsAny(c.User+c.Password, " ") {
		return nil, fmt.Errorf("user or password: %w", ErrUnquotable) // ipmi_sim ends them there
	}
	// ipmi_sim hands the line to the shell.
	words := make([]string, len(c.ChassisControl))
	for i, word := range c.ChassisControl {
		words[i] = "'" + word + "'"
	}
	var text bytes.Buffer
	err := lanTemplate.Execute(&text, struct {
		Config
		Chassis string
	}{c, strings.Join(words, " ")})
	return text.Bytes(), err
}

func quotable(s string) bool {
	return !strings.ContainsAny(s, `"'\`) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// emulator is in the form of ipmi_sim_cmd(5): one management controller, an event log of
// 1000 entries with one in it ("system boot initiated by power up", IPMI v2.0 table 42-3),
// and a FRU that tells what the server is.
func (c Config) emulator() []byte {
	fru := productFRU("Ferrodur", "virtual server", c.Name)
	return fmt.Appendf(nil, `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
sel_add 0x20 0x02 0 0 0 0 0x20 0 0x04 0x1d 0x01 0x6f 0x00 0xff 0xff
mc_add_fru_data 0x20 0 %d data%s
mc_enable 0x20
`, len(fru), hexBytes(fru))
}

func hexBytes(data []byte) string {
	var text strings.Builder
	for _, b := range data {
		fmt.Fprintf(&text, " 0x%02x", b)
	}
	return text.String()
}

// productFRU is an inventory device with a product area and nothing else (IPMI FRU
// Information Storage Definition v1.0, §8 and §12).
func productFRU(manufacturer, product, serial string) []byte {
	area := []byte{0x01, 0, 0x19} // format 1; length, set below; language English
	for _, field := range []string{manufacturer, product, "", "", serial} {
		field = field[:min(len(field), 63)]
		area = append(area, 0xc0|byte(len(field))) // 8-bit ASCII
		area = append(area, field...)
	}
	area = append(area, 0xc1) // no more fields
	for len(area)%8 != 7 {
		area = append(area, 0)
	}
	area[1] = byte((len(area) + 1) / 8)
	header := []byte{0x01, 0, 0, 0, 1, 0, 0} // format 1; product area at 1×8 bytes
	return append(zeroSum(header), zeroSum(area)...)
}

// zeroSum appends the byte that makes the sum zero.
func zeroSum(data []byte) []byte {
	var sum byte
	for _, b := range data {
		sum += b
	}
	return append(data, -sum)
}
