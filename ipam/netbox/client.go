package netbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Errors that asking again does not mend: a person must act.
var (
	ErrCredentials = errors.New("NetBox refuses the token, or what its user may do: see NetBox's permissions for prefixes, IP addresses and tags")
	ErrNoPrefix    = errors.New("NetBox has no such prefix: create it there, or take the source off the pool")
)

// answerLimit bounds what is read of an answer, in bytes.
const answerLimit = 64 << 20

// page is how many objects one request asks for; NetBox itself gives 1000 at most unless it
// is set up otherwise.
const page = 500

// client speaks NetBox's REST API, version 4
// (https://netboxlabs.com/docs/netbox/integrations/rest-api/).
type client struct {
	base  *url.URL
	token string
	http  *http.Client
}

func newClient(base, token string) (*client, error) {
	parsed, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" {
		return nil, fmt.Errorf("NetBox's address %q is no URL such as https://netbox.example.net", base)
	}
	if token == "" {
		return nil, errors.New("NetBox needs a token")
	}
	return &client{base: parsed, token: token, http: &http.Client{Timeout: 30 * time.Second}}, nil
}

// object is what is used of a prefix, an IP address, a VRF or a tag.
type object struct {
	ID      int64        `json:"id"`
	Prefix  netip.Prefix `json:"prefix"`
	Address netip.Prefix `json:"address"`
	Family  struct {
		Value int `json:"value"`
	} `json:"family"`
	Description string `json:"description"`
}

// block is the prefix that an object of either kind stands for: of an IP address, whose
// length in NetBox is that of its network, the address alone.
func (o object) block() netip.Prefix {
	if o.Address.IsValid() {
		return netip.PrefixFrom(o.Address.Addr(), o.Address.Addr().BitLen())
	}
	return o.Prefix
}

// list reads all pages of a collection.
func (c *client) list(ctx context.Context, path string, filter url.Values) ([]object, error) {
	var all []object
	for {
		filter.Set("limit", fmt.Sprint(page))
		filter.Set("offset", fmt.Sprint(len(all)))
		var answer struct {
			Count   int      `json:"count"`
			Results []object `json:"results"`
		}
		if err := c.do(ctx, http.MethodGet, path+"?"+filter.Encode(), nil, &answer); err != nil {
			return nil, err
		}
		all = append(all, answer.Results...)
		if len(answer.Results) == 0 || len(all) >= answer.Count {
			return all, nil
		}
	}
}

// statusError is an answer that was not wanted.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("NetBox answers %d: %s", e.code, e.text) }

func (e *statusError) Unwrap() error {
	if e.code == http.StatusUnauthorized || e.code == http.StatusForbidden {
		return ErrCredentials
	}
	return nil
}

// answers says whether an error is an answer with a status code.
func answers(err error, code int) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == code
}

func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base.String()+"/api/"+path, body)
	if err != nil {
		return err
	}
	scheme := "Token"
	if strings.HasPrefix(c.token, "nbt_") { // tokens of version 2, from NetBox 4.5 on
		scheme = "Bearer"
	}
	request.Header.Set("Authorization", scheme+" "+c.token)
	request.Header.Set("Accept", "application/json")
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("NetBox cannot be reached: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return fmt.Errorf("NetBox broke off its answer: %w", err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return &statusError{response.StatusCode, brief(text)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("NetBox's answer to %s %s: %w", method, path, err)
	}
	return nil
}

// brief is the message of an error's body.
func brief(body []byte) string {
	var answer struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.Detail != "" {
		return answer.Detail
	}
	const enough = 200
	text := strings.Join(strings.Fields(string(body)), " ")
	return text[:min(len(text), enough)]
}
