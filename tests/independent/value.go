package main

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/bits"
	"regexp"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// Sizes in bytes.
const (
	dekSize        = 32
	saltSize       = 24
	commitmentSize = 32
	minPadded      = 64
	minBlob        = saltSize + commitmentSize + minPadded + chacha20poly1305.Overhead
	maxItemText    = 2 << 20
)

var (
	errCannotOpen = errors.New("the value does not open")
	valueText     = regexp.MustCompile(`^ags1\.([0-9a-f]{16})\.([A-Za-z0-9+/]+={0,2})$`)
)

// binding is what a value is bound to: the parts of the context of format.md, "Bytes".
type binding struct {
	secretType string
	key        string
	scope      []string
}

// context encodes the parts so that no two different bindings give the same bytes.
func (b binding) context() []byte {
	var out []byte
	lp := func(text string) {
		out = binary.BigEndian.AppendUint16(out, uint16(len(text)))
		out = append(out, text...)
	}
	lp(b.secretType)
	lp(b.key)
	out = binary.BigEndian.AppendUint16(out, uint16(len(b.scope)))
	for _, pattern := range b.scope {
		lp(pattern)
	}
	return out
}

// expand is HKDF-SHA256, extract and expand in one.
func expand(dek, salt []byte, info string, length int) []byte {
	out, err := hkdf.Key(sha256.New, dek, salt, info, length)
	if err != nil {
		panic(err) // Only a length above 255 blocks is refused.
	}
	return out
}

// kidOf is the id of a data encryption key.
func kidOf(dek []byte) string {
	return hex.EncodeToString(expand(dek, nil, "ageseal.dev/v1/kid", 8))
}

// padme rounds a length up so that at most O(log log n) bits of it show.
func padme(length int) int {
	e := bits.Len(uint(length)) - 1 // floor(log2 length)
	s := bits.Len(uint(e))          // floor(log2 e) + 1
	mask := 1<<(e-s) - 1
	return (length + mask) &^ mask
}

// pad appends 0x80 and as many zeros as the format wants.
func pad(value []byte) []byte {
	padded := make([]byte, padme(max(minPadded, len(value)+1)))
	padded[copy(padded, value)] = 0x80
	return padded
}

// unpad is the inverse of pad and accepts nothing that pad does not make.
func unpad(padded []byte) ([]byte, error) {
	stripped := bytes.TrimRight(padded, "\x00")
	value, marked := bytes.CutSuffix(stripped, []byte{0x80})
	if !marked || len(padded) != padme(max(minPadded, len(value)+1)) {
		return nil, errCannotOpen
	}
	return value, nil
}

// sealPadded makes the text of a value from bytes that are padded already.
func sealPadded(dek, salt, padded []byte, b binding) string {
	keys := expand(dek, salt, "ageseal.dev/v1/value"+string(b.context()), 64)
	aead, err := chacha20poly1305.New(keys[:32])
	if err != nil {
		panic(err) // Only another key length is refused.
	}
	blob := append(bytes.Clone(salt), keys[32:]...)
	blob = aead.Seal(blob, make([]byte, chacha20poly1305.NonceSize), padded, nil)
	return "ags1." + kidOf(dek) + "." + base64.StdEncoding.EncodeToString(blob)
}

// sealValue makes the text of a value.
func sealValue(dek, salt, value []byte, b binding) string {
	return sealPadded(dek, salt, pad(value), b)
}

// parseValue splits the text of a value into its kid and its blob.
func parseValue(text string) (kid string, blob []byte, ok bool) {
	if len(text) > maxItemText {
		return "", nil, false
	}
	parts := valueText.FindStringSubmatch(text)
	if parts == nil {
		return "", nil, false
	}
	blob, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil || len(blob) < minBlob || strings.ContainsAny(parts[2], "\r\n") {
		return "", nil, false
	}
	return parts[1], blob, true
}

// openBlob opens a value: commitment, then AEAD, then padding.
func openBlob(dek, blob []byte, b binding) ([]byte, error) {
	salt, rest := blob[:saltSize], blob[saltSize:]
	commitment, ciphertext := rest[:commitmentSize], rest[commitmentSize:]
	keys := expand(dek, salt, "ageseal.dev/v1/value"+string(b.context()), 64)
	if subtle.ConstantTimeCompare(commitment, keys[32:]) != 1 {
		return nil, errCannotOpen
	}
	aead, err := chacha20poly1305.New(keys[:32])
	if err != nil {
		panic(err) // Only another key length is refused.
	}
	padded, err := aead.Open(nil, make([]byte, chacha20poly1305.NonceSize), ciphertext, nil)
	if err != nil {
		return nil, errCannotOpen
	}
	return unpad(padded)
}
