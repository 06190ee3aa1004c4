package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// Caps of an envelope.
const (
	maxArmored     = 96 << 10
	maxStanzas     = 33
	maxHeaderLines = 128 // from the version line to the line of the MAC, both counted
	maxUnwraps     = 256 // one identity tried on one age file, a document
)

const (
	armorBegin    = "-----BEGIN AGE ENCRYPTED FILE-----"
	armorEnd      = "-----END AGE ENCRYPTED FILE-----"
	armorColumns  = 64
	envelopePlain = 80
)

var envelopeText = regexp.MustCompile(`^ageseal-dek-v1 ([0-9a-f]{64})\n$`)

// identity is an age identity and the id that documents claim it by.
type identity struct {
	age.Identity
	id string
}

// idOf is the id of a recipient: `r` and 16 hex characters of the SHA-256 of its canonical text.
func idOf(recipient string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(recipient)))
	return "r" + hex.EncodeToString(sum[:8])
}

// newIdentity knows the two native kinds.
func newIdentity(i age.Identity) (identity, error) {
	switch i := i.(type) {
	case *age.HybridIdentity:
		return identity{i, idOf(i.Recipient().String())}, nil
	case *age.X25519Identity:
		return identity{i, idOf(i.Recipient().String())}, nil
	}
	return identity{}, errors.New("an identity is AGE-SECRET-KEY-PQ-1… or AGE-SECRET-KEY-1…")
}

// parseIdentities reads an age identities file.
func parseIdentities(r io.Reader) ([]identity, error) {
	parsed, err := age.ParseIdentities(r)
	if err != nil {
		return nil, err
	}
	identities := make([]identity, len(parsed))
	for n, i := range parsed {
		if identities[n], err = newIdentity(i); err != nil {
			return nil, err
		}
	}
	return identities, nil
}

// dearmor decodes the armor as strictly as the age specification allows: 64 columns, canonical base64, nothing around
// it but one last newline.
func dearmor(text string) ([]byte, bool) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] != armorBegin || lines[len(lines)-1] != armorEnd {
		return nil, false
	}
	lines = lines[1 : len(lines)-1]
	for n, line := range lines {
		if len(line) != armorColumns && n+1 < len(lines) || len(line) == 0 || len(line) > armorColumns {
			return nil, false
		}
	}
	body := strings.Join(lines, "")
	if strings.ContainsAny(body, "\r\n") {
		return nil, false
	}
	binary, err := base64.StdEncoding.Strict().DecodeString(body)
	return binary, err == nil
}

// checkCaps counts what must be counted before age's parser may see an envelope. What cannot be counted, because it
// is no armor or its header has no end, is out of bounds too.
func checkCaps(text string) error {
	if len(text) > maxArmored {
		return errors.New("the envelope is too large")
	}
	binary, ok := dearmor(text)
	if !ok {
		return errors.New("the envelope is no armored age file")
	}
	lines, stanzas := 0, 0
	for line := range bytes.Lines(binary) {
		lines++
		if bytes.HasPrefix(line, []byte("->")) {
			stanzas++
		}
		if lines > maxHeaderLines || stanzas > maxStanzas {
			return errors.New("the envelope's header is too long")
		}
		if bytes.HasPrefix(line, []byte("---")) {
			return nil
		}
	}
	return errors.New("the envelope's header has no end")
}

// makeEnvelope encrypts a text to recipients and armors it.
func makeEnvelope(plaintext []byte, recipients ...age.Recipient) (string, error) {
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, recipients...)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(plaintext); err != nil {
		return "", err
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return "", err
	}
	return out.String(), nil
}

// dekText is the plaintext of an envelope.
func dekText(dek []byte) []byte {
	return []byte("ageseal-dek-v1 " + hex.EncodeToString(dek) + "\n")
}

// opener tries identities on age files and remembers what came of each file.
type opener struct {
	identities []identity
	unwraps    int
	known      map[string]outcome
}

type outcome struct {
	dek    []byte
	reason string // notARecipient or cannotOpen, if there is no key
}

func (o *opener) open(file ageFile) outcome {
	if known, ok := o.known[file.Age]; ok {
		return known
	}
	result := o.try(file)
	o.known[file.Age] = result
	return result
}

// try gives the key of an age file. The claim of its recipients orders the tries and decides nothing.
func (o *opener) try(file ageFile) outcome {
	binary, _ := dearmor(file.Age) // The caps have been checked.
	claimed := func(i identity) int {
		if slices.Contains(file.Recipients, i.id) {
			return 0
		}
		return 1
	}
	order := slices.Clone(o.identities)
	slices.SortStableFunc(order, func(a, b identity) int { return claimed(a) - claimed(b) })
	for _, i := range order {
		if o.unwraps++; o.unwraps > maxUnwraps {
			break
		}
		plaintext, err := decrypt(binary, i)
		var mismatch *age.NoIdentityMatchError
		if errors.As(err, &mismatch) {
			continue
		}
		if err != nil {
			return outcome{reason: cannotOpen}
		}
		found := envelopeText.FindSubmatch(plaintext)
		if len(plaintext) != envelopePlain || found == nil {
			return outcome{reason: cannotOpen}
		}
		dek, err := hex.DecodeString(string(found[1]))
		if err != nil {
			return outcome{reason: cannotOpen}
		}
		return outcome{dek: dek}
	}
	return outcome{reason: notARecipient}
}

func decrypt(binary []byte, i age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(binary), i)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
