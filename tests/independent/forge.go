package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/crypto/chacha20poly1305"
)

// What age itself never writes, for the vectors: envelopes with a valid MAC around stanzas that must be refused.

// tampered is a recipient whose stanzas are changed before the header is authenticated.
type tampered struct {
	age.Recipient
	change func(*age.Stanza)
}

func (t tampered) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	stanzas, err := t.Recipient.Wrap(fileKey)
	for _, s := range stanzas {
		t.change(s)
	}
	return stanzas, err
}

// fixed is a recipient that adds stanzas of its own.
type fixed []*age.Stanza

func (f fixed) Wrap([]byte) ([]*age.Stanza, error) { return f, nil }

// lowOrderX25519 wraps the file key as an X25519 stanza whose share is the all-zero point, under the key that a reader
// computes if it does not refuse the all-zero shared secret.
type lowOrderX25519 struct{ publicKey []byte }

func (r lowOrderX25519) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	share, shared := make([]byte, 32), make([]byte, 32)
	salt := append(bytes.Clone(share), r.publicKey...)
	key, err := hkdf.Key(sha256.New, shared, salt, "age-encryption.org/v1/X25519", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	body := sealFileKey(key, make([]byte, chacha20poly1305.NonceSize), fileKey)
	return []*age.Stanza{{Type: "X25519", Args: []string{encodeArgument(share)}, Body: body}}, nil
}

// lowOrderHybrid does the same for the X25519 half of an mlkem768x25519 stanza.
type lowOrderHybrid struct{ publicKey []byte }

func (r lowOrderHybrid) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	return wrapHybrid(r.publicKey, make([]byte, 32), make([]byte, 32), fileKey)
}

// honestHybrid is what the other would be with a share in order: it shows that nothing else is wrong with that one.
type honestHybrid struct{ publicKey []byte }

func (r honestHybrid) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	theirs, err := ecdh.X25519().NewPublicKey(r.publicKey[mlkem.EncapsulationKeySize768:])
	if err != nil {
		return nil, err
	}
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	shared, err := ephemeral.ECDH(theirs)
	if err != nil {
		return nil, err
	}
	return wrapHybrid(r.publicKey, ephemeral.PublicKey().Bytes(), shared, fileKey)
}

func wrapHybrid(publicKey, share, sharedX, fileKey []byte) ([]*age.Stanza, error) {
	ek, err := mlkem.NewEncapsulationKey768(publicKey[:mlkem.EncapsulationKeySize768])
	if err != nil {
		return nil, err
	}
	sharedM, ciphertext := ek.Encapsulate()
	body, err := hybridBody(sharedM, sharedX, share, publicKey[mlkem.EncapsulationKeySize768:], fileKey)
	if err != nil {
		return nil, err
	}
	argument := encodeArgument(append(ciphertext, share...))
	return []*age.Stanza{{Type: "mlkem768x25519", Args: []string{argument}, Body: body}}, nil
}

// hybridBody is X-Wing's combiner and HPKE's base mode (RFC 9180) for KEM 0x647a, HKDF-SHA256, ChaCha20-Poly1305.
func hybridBody(sharedM, sharedX, share, publicX, fileKey []byte) ([]byte, error) {
	shared := sha3.Sum256(bytes.Join([][]byte{sharedM, sharedX, share, publicX, []byte(`\.//^\`)}, nil))
	suite := "HPKE\x64\x7a\x00\x01\x00\x03"
	extract := func(salt []byte, label string, material []byte) ([]byte, error) {
		return hkdf.Extract(sha256.New, append([]byte("HPKE-v1"+suite+label), material...), salt)
	}
	emptyHash, err := extract(nil, "psk_id_hash", nil)
	if err != nil {
		return nil, err
	}
	infoHash, err := extract(nil, "info_hash", []byte("age-encryption.org/mlkem768x25519"))
	if err != nil {
		return nil, err
	}
	schedule := "\x00" + string(emptyHash) + string(infoHash)
	secret, err := extract(shared[:], "secret", nil)
	if err != nil {
		return nil, err
	}
	expand := func(label string, length int) ([]byte, error) {
		info := binary.BigEndian.AppendUint16(nil, uint16(length))
		return hkdf.Expand(sha256.New, secret, string(info)+"HPKE-v1"+suite+label+schedule, length)
	}
	key, err := expand("key", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	nonce, err := expand("base_nonce", chacha20poly1305.NonceSize)
	if err != nil {
		return nil, err
	}
	return sealFileKey(key, nonce, fileKey), nil
}

func sealFileKey(key, nonce, fileKey []byte) []byte {
	aead, err := chacha20poly1305.New(key)
	if err != nil {
		panic(err) // Only another key length is refused.
	}
	return aead.Seal(nil, nonce, fileKey, nil)
}

var rawBase64 = base64.RawStdEncoding.Strict()

func encodeArgument(b []byte) string { return rawBase64.EncodeToString(b) }

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// loose sets the lowest spare bit of the last character of base64: the same bytes, not canonical.
func loose(text string) string {
	body := strings.TrimRight(text, "=")
	last := strings.IndexByte(base64Alphabet, body[len(body)-1])
	return body[:len(body)-1] + string(base64Alphabet[last|1]) + text[len(body):]
}

// publicKey gives the bytes of a recipient: bech32, whose checksum age has verified.
func publicKey(recipient string) []byte {
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	data := recipient[strings.LastIndexByte(recipient, '1')+1:]
	var out []byte
	bits, length := uint(0), 0
	for _, c := range data[:len(data)-6] {
		bits, length = bits<<5|uint(strings.IndexRune(alphabet, c)), length+5
		if length >= 8 {
			length -= 8
			out = append(out, byte(bits>>length))
			bits &= 1<<length - 1
		}
	}
	return out
}

// rearmored changes the binary age file inside the armor.
func rearmored(text string, change func([]byte) []byte) string {
	binary, ok := dearmor(text)
	if !ok {
		panic("not armored")
	}
	var out bytes.Buffer
	w := armor.NewWriter(&out)
	if _, err := w.Write(change(binary)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.String()
}
