package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkPrefix refuses what is not the canonical form of a prefix.
func checkPrefix(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return errors.New("it needs a prefix")
	case p.Addr().Is4In6():
		return fmt.Errorf("%s is an IPv4 address in IPv6 form: write it as IPv4", p)
	case p.Masked() != p:
		return fmt.Errorf("%s has bits set behind its length: write %s", p, p.Masked())
	}
	return nil
}

// maxOwner bounds the caller's key.
const maxOwner = 255

func checkOwner(owner string) error {
	switch {
	case owner == "":
		return &InvalidError{What: "request", Reason: "it names no owner"}
	case len(owner) > maxOwner:
		return &InvalidError{What: "request", Reason: fmt.Sprintf("the owner is longer than %d bytes", maxOwner)}
	}
	if err := checkTexts(owner); err != nil {
		return &InvalidError{What: "request", Reason: err.Error()}
	}
	return nil
}

// checkTexts refuses what PostgreSQL or a CSV file would not keep as it is.
func checkTexts(texts ...string) error {
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			return fmt.Errorf("%q is not one line of text", text)
		}
	}
	return nil
}

// checkTags refuses what would become another tag in a list that commas separate.
func checkTags(tags []string) error {
	for _, tag := range tags {
		if tag == "" || tag != strings.TrimSpace(tag) || strings.Contains(tag, ",") {
			return fmt.Errorf("tag %q is empty, or has a comma or a blank around it", tag)
		}
	}
	return checkTexts(tags...)
}
