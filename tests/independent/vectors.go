package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
)

// The identities of the vectors. They are public: never encrypt anything to them.
const (
	hybridProd     = "AGE-SECRET-KEY-PQ-1E6DHARR3XEGP7A5NEK8JXXEN0XW4XWEW2QTD0RJAY9PLJPT4C4QQK5482L"
	hybridRecovery = "AGE-SECRET-KEY-PQ-1QZT54A52WZFDFGMZZCPLNYL3WV6LCJY2D3HY6WYW9L3HKZ3U4G8SCA9PMP"
	hybridTest     = "AGE-SECRET-KEY-PQ-1W0ML9G2WL40YEM39XF362SD7H89GUUEQ3GXC6X2SPWQDA0GG5Z3SZ6TWCJ"
	x25519Prod     = "AGE-SECRET-KEY-1JFAR93PL97FA4MHTJJF9FL6XZ066XFL5MK8V24HG59849U4PCAUSQYQHDH"
	x25519Recovery = "AGE-SECRET-KEY-1UJ938Q2FGQ4C4YEZXZMQ9MYUY8UK04K3PTJFDYCR8Q2HWXD7H75S9PGZD4"
	x25519Test     = "AGE-SECRET-KEY-1G5VJD8MU9FUN23Z5W84GE4K4L32Y7ULMX7MVEE7GPDW02E9GSLXQJRYVTA"
)

// must is for the generator alone: its inputs are constants.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// recipientOf gives the recipient string of an identity.
func recipientOf(secret string) string {
	switch i := must(age.ParseIdentities(strings.NewReader(secret)))[0].(type) {
	case *age.HybridIdentity:
		return i.Recipient().String()
	case *age.X25519Identity:
		return i.Recipient().String()
	}
	panic("another kind of identity")
}

// recipient gives the recipient of an identity to age.
func recipient(secret string) age.Recipient {
	return must(age.ParseRecipients(strings.NewReader(recipientOf(secret))))[0]
}

func envelopeFor(dek []byte, secrets ...string) *envelope {
	recipients := make([]string, len(secrets))
	for n, secret := range secrets {
		recipients[n] = recipientOf(secret)
	}
	return must(newEnvelope(dek, recipients...))
}

// forgedEnvelope claims prod and holds what it is told.
func forgedEnvelope(plaintext []byte, recipients ...age.Recipient) *envelope {
	text := must(makeEnvelope(plaintext, recipients...))
	return &envelope{ageFile: ageFile{Recipients: []string{idOf(recipientOf(x25519Prod))}, Age: text}}
}

// draft is a document in the making: shop-prod/db, Opaque, one shared envelope, opened by its first reader.
type draft struct {
	*spec
	dek        []byte
	kid        string
	at         live
	identities []string
	plain      map[string]string // what put has sealed
}

// newDraft makes an empty draft for the readers.
func newDraft(readers ...string) *draft {
	dek := randomBytes(dekSize)
	kid := kidOf(dek)
	return &draft{
		spec: &spec{
			Scope:         []string{"shop-prod/db"},
			EncryptedData: map[string]*item{},
			Envelopes:     map[string]*envelope{"k" + kid: envelopeFor(dek, readers...)},
		},
		dek: dek, kid: kid,
		at:         live{namespace: "shop-prod", name: "db"},
		identities: readers[:1],
		plain:      map[string]string{},
	}
}

// simple is a draft with one value for one X25519 reader: what most tampering starts from.
func simple() *draft {
	d := newDraft(x25519Prod)
	d.put("password", "hunter2")
	return d
}

// put seals a value under the shared key, for the type and scope that the draft has now.
func (d *draft) put(key, value string) *item {
	return d.putUnder(d.dek, key, value, nil)
}

// putUnder seals a value under any key, with a scope of its own if it is given one.
func (d *draft) putUnder(dek []byte, key, value string, scope []string) *item {
	i := &item{Scope: scope}
	b := binding{d.secretType(), key, d.effectiveScope(i)}
	i.Value = sealValue(dek, randomBytes(saltSize), []byte(value), b)
	d.EncryptedData[key], d.plain[key] = i, value
	return i
}

// putPadded seals bytes that are padded already, or wrongly.
func (d *draft) putPadded(key string, padded []byte) {
	b := binding{d.secretType(), key, d.Scope}
	d.EncryptedData[key] = &item{Value: sealPadded(d.dek, randomBytes(saltSize), padded, b)}
}

// shared is the envelope that the draft began with.
func (d *draft) shared() *envelope { return d.Envelopes["k"+d.kid] }

// setType changes the type; what is put later is sealed for it.
func (d *draft) setType(secretType string) { d.Type = &secretType }

// write gives the text of the document.
func (d *draft) write() string {
	head := must(json.Marshal(metadata{Name: d.at.name, Namespace: d.at.namespace}))
	if d.at.source {
		head = must(json.Marshal(metadata{Name: "db"}))
	}
	return string(must((&document{APIVersion: apiVersion, Kind: kind, Metadata: head, Spec: d.spec}).text()))
}

// collection gathers vectors.
type collection struct{ vectors []*vector }

// edit changes the text of a document.
type edit func(string) string

// swap replaces one text that must be there.
func swap(from, to string) edit {
	return func(text string) string {
		if !strings.Contains(text, from) {
			panic(fmt.Sprintf("%q is not in\n%s", from, text))
		}
		return strings.Replace(text, from, to, 1)
	}
}

func (c *collection) add(file, comment string, refused *refusal, d *draft, edits []edit) {
	text := d.write()
	for _, e := range edits {
		text = e(text)
	}
	c.vectors = append(c.vectors, &vector{
		file: file, comment: comment, refused: refused, at: d.at, identities: d.identities,
		secretType: d.secretType(), values: d.plain, body: shortened(text),
	})
}

func (c *collection) opened(file, comment string, d *draft, edits ...edit) {
	c.add(file, comment, nil, d, edits)
}

func (c *collection) malformed(file, comment string, d *draft, edits ...edit) {
	c.add(file, comment, &refusal{Step: stepCaps, Reason: malformed}, d, edits)
}

func (c *collection) mismatch(file, key, comment string, d *draft, edits ...edit) {
	c.add(file, comment, &refusal{Step: stepScope, Reason: scopeMismatch, Key: key}, d, edits)
}

func (c *collection) notForUs(file, comment string, d *draft, edits ...edit) {
	c.add(file, comment, &refusal{Step: stepRecipient, Reason: notARecipient}, d, edits)
}

func (c *collection) badEnvelope(file, comment string, d *draft, edits ...edit) {
	c.add(file, comment, &refusal{Step: stepEnvelope, Reason: cannotOpen, Key: "password"}, d, edits)
}

func (c *collection) badValue(file, key, comment string, d *draft, edits ...edit) {
	c.add(file, comment, &refusal{Step: stepValue, Reason: cannotOpen, Key: key}, d, edits)
}

// writeVectors writes every vector anew and checks that this implementation agrees with each.
func writeVectors(folder string) error {
	c := &collection{}
	c.openedVectors()
	c.shapeVectors()
	c.capVectors()
	c.scopeVectors()
	c.envelopeVectors()
	c.stanzaVectors()
	c.valueVectors()
	names := make([]string, 0, len(c.vectors))
	for _, v := range c.vectors {
		if slices.Contains(names, v.file) {
			return fmt.Errorf("two vectors are named %s", v.file)
		}
		names = append(names, v.file)
		if err := v.check(); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, v.file+".txt"), []byte(v.text()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
