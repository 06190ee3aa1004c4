package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"filippo.io/age"
)

// sealing is what a new document is made from.
type sealing struct {
	namespace, name string
	secretType      string // empty: the document does not say it, which means Opaque
	scope           []string
	recipients      []string
	data            map[string][]byte
}

// seal makes a document with one shared envelope.
func (s sealing) seal() (*document, error) {
	s.scope = canonicalScope(s.scope)
	if !validScope(s.scope) {
		return nil, fmt.Errorf("not a scope: %q", s.scope)
	}
	head, err := json.Marshal(metadata{Name: s.name, Namespace: s.namespace})
	if err != nil {
		return nil, err
	}
	dek := randomBytes(dekSize)
	shared, err := newEnvelope(dek, s.recipients...)
	if err != nil {
		return nil, err
	}
	d := &document{APIVersion: apiVersion, Kind: kind, Metadata: head, Spec: &spec{
		Scope:         s.scope,
		EncryptedData: map[string]*item{},
		Envelopes:     map[string]*envelope{"k" + kidOf(dek): shared},
	}}
	if s.secretType != "" {
		d.Spec.Type = &s.secretType
	}
	for key, value := range s.data {
		b := binding{d.Spec.secretType(), key, s.scope}
		d.Spec.EncryptedData[key] = &item{Value: sealValue(dek, randomBytes(saltSize), value, b)}
	}
	if refused := d.checkShape(false); refused != nil {
		return nil, refused
	}
	return d, nil
}

func canonicalScope(scope []string) []string {
	sorted := slices.Clone(scope)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// newEnvelope encrypts a key to recipients, all of one kind: age refuses to mix.
func newEnvelope(dek []byte, recipients ...string) (*envelope, error) {
	if len(recipients) == 0 {
		return nil, errors.New("no recipient")
	}
	parsed, err := age.ParseRecipients(strings.NewReader(strings.Join(recipients, "\n")))
	if err != nil {
		return nil, err
	}
	text, err := makeEnvelope(dekText(dek), parsed...)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(recipients))
	for n, recipient := range recipients {
		ids[n] = idOf(recipient)
	}
	slices.Sort(ids)
	return &envelope{ageFile: ageFile{Recipients: ids, Age: text}}, nil
}

func randomBytes(length int) []byte {
	bytes := make([]byte, length)
	rand.Read(bytes) // Never fails: the program would have ended.
	return bytes
}
