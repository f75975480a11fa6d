package bootsvc

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
)

// Tokens are derived, HMAC-SHA-256 (RFC 2104), from a random key that lives in the boot
// target's row and is erased when the target ends. So a machine that is reset fetches the
// same token again, though no token is stored anywhere; what is looked up is its hash.

// The uses of a key. Each gives another token.
const (
	agentToken    = "agent"
	callHomeToken = "call home"
)

// newTokenKey returns 256 random bits.
func newTokenKey() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails, see crypto/rand
	return key
}

// deriveToken returns the token of a target for a use, 256 bits in base64url.
func deriveToken(key []byte, target, use string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(use + "\x00" + target))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// hashToken is under what a token is found. An index look-up by the hash of a 256-bit
// secret tells an attacker nothing by its timing.
func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// sameToken compares in constant time.
func sameToken(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }
