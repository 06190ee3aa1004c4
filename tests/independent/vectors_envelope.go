package main

import (
	"bytes"
	"encoding/hex"
	"strings"

	"filippo.io/age"
)

// envelopeVectors are envelopes that are not for us, or do not hold the value's key.
func (c *collection) envelopeVectors() {
	d := simple()
	d.identities = []string{x25519Test}
	c.notForUs("recipient-other-x25519", "The identity is of the right kind and somebody else's.", d)

	d = newDraft(hybridProd)
	d.put("password", "hunter2")
	d.identities = []string{hybridTest}
	c.notForUs("recipient-other-hybrid", "The identity is of the right kind and somebody else's.", d)

	d = newDraft(hybridProd)
	d.put("password", "hunter2")
	d.identities = []string{x25519Prod}
	c.notForUs("recipient-x25519-for-hybrid", "A classic identity, a post-quantum document.", d)

	d = simple()
	d.identities = []string{hybridProd}
	c.notForUs("recipient-hybrid-for-x25519", "A post-quantum identity, a classic document.", d)

	d = simple()
	d.shared().Recipients = []string{idOf(recipientOf(x25519Test))}
	d.identities = []string{x25519Test}
	c.notForUs("recipient-claimed-but-not", "The document claims our recipient, but the age file is not for it.", d)

	d = newDraft(hybridProd, hybridRecovery)
	d.put("password", "hunter2")
	own := randomBytes(dekSize)
	d.putUnder(own, "token", "t0ken", nil).Envelope = envelopeFor(own, hybridRecovery)
	c.notForUs("recipient-of-one-value-only", "One value of two is for us: all or nothing.", d)

	d = newDraft(x25519Test)
	d.put("password", "hunter2")
	d.shared().Also = []ageFile{envelopeFor(d.dek, x25519Recovery).ageFile}
	d.identities = []string{x25519Prod}
	c.notForUs("recipient-of-neither", "Neither the age file nor `also` is for us.", d)

	d = simple()
	d.shared().Age = must(makeEnvelope(dekText(d.dek), greaseStanza(20)))
	c.notForUs("recipient-unknown-stanza-only", "The header holds one stanza, of a type that nobody knows.", d)

	passphrase := must(age.NewScryptRecipient("correct horse battery staple"))
	passphrase.SetWorkFactor(10)
	d = simple()
	d.shared().Age = must(makeEnvelope(dekText(d.dek), passphrase))
	c.notForUs("recipient-passphrase", "An age file for a passphrase, which no identity here is.", d)

	d = simple()
	first := randomBytes(dekSize)
	second := randomBytes(dekSize)
	d.EncryptedData, d.plain = map[string]*item{}, map[string]string{}
	d.putUnder(first, "host", "db.example.test", nil)
	d.putUnder(second, "password", "hunter2", nil)
	d.Envelopes = map[string]*envelope{
		"k" + kidOf(first): envelopeFor(second, x25519Prod), "k" + kidOf(second): envelopeFor(first, x25519Prod),
	}
	c.add("envelope-swapped", "Two envelopes under each other's kid.",
		&refusal{Step: stepEnvelope, Reason: cannotOpen, Key: "host"}, d, nil)

	d = simple()
	d.shared().ageFile = envelopeFor(randomBytes(dekSize), x25519Prod).ageFile
	c.badEnvelope("envelope-of-another-key", "A whole envelope for us, of another key: the kid is recomputed.", d)

	d = simple()
	delete(d.Envelopes, "k"+d.kid)
	d.EncryptedData["password"].Envelope = envelopeFor(randomBytes(dekSize), x25519Prod)
	c.badEnvelope("envelope-own-of-another-key", "The item's own envelope holds another key and there is no shared one.", d)

	for _, p := range []struct {
		file, comment string
		plaintext     func(dek []byte) []byte
	}{
		{"79-bytes", "The line feed at the end is missing.", func(dek []byte) []byte { return dekText(dek)[:79] }},
		{"81-bytes", "A second line feed at the end.", func(dek []byte) []byte { return append(dekText(dek), '\n') }},
		{"crlf", "CRLF at the end.", func(dek []byte) []byte { return append(dekText(dek)[:79], "\r\n"...) }},
		{"space-at-the-end", "80 bytes, but a space in place of the line feed.", func(dek []byte) []byte { return append(dekText(dek)[:79], ' ') }},
		{"upper-case", "The key in upper-case hex.", func(dek []byte) []byte {
			return []byte("ageseal-dek-v1 " + strings.ToUpper(hex.EncodeToString(dek)) + "\n")
		}},
		{"other-version", "Another version before the key.", func(dek []byte) []byte {
			return bytes.Replace(dekText(dek), []byte("v1"), []byte("v2"), 1)
		}},
		{"other-prefix", "Another word before the key.", func(dek []byte) []byte {
			return bytes.Replace(dekText(dek), []byte("ageseal"), []byte("xgeseal"), 1)
		}},
		{"no-hex", "A character that is no hex digit.", func(dek []byte) []byte { return append(dekText(dek)[:78], "g\n"...) }},
		{"raw", "The 32 bytes of the key alone.", func(dek []byte) []byte { return dek }},
		{"empty", "Nothing at all.", func([]byte) []byte { return nil }},
	} {
		d := simple()
		d.shared().Age = must(makeEnvelope(p.plaintext(d.dek), recipient(x25519Prod)))
		c.badEnvelope("envelope-plaintext-"+p.file, p.comment, d)
	}

	flip := func(from int) func([]byte) []byte {
		return func(b []byte) []byte { b[len(b)-from] ^= 1; return b }
	}
	mac := func(b []byte) []byte {
		at := bytes.Index(b, []byte("\n--- ")) + len("\n--- ")
		if b[at] == 'A' {
			b[at] = 'B'
		} else {
			b[at] = 'A'
		}
		return b
	}
	for _, t := range []struct {
		file, comment string
		change        func([]byte) []byte
	}{
		{"payload-flipped", "One bit of the encrypted key flipped.", flip(20)},
		{"payload-tag-flipped", "One bit of the payload's tag flipped.", flip(1)},
		{"payload-nonce-flipped", "One bit of the payload's nonce flipped.", flip(envelopePlain + 16 + 1)},
		{"truncated", "The last byte of the age file is missing; the armor is whole.", func(b []byte) []byte { return b[:len(b)-1] }},
		{"without-payload", "The header is whole, the payload is missing.", func(b []byte) []byte {
			return b[:len(b)-envelopePlain-32]
		}},
		{"longer", "One byte after the end of the age file.", func(b []byte) []byte { return append(b, 0) }},
		{"mac-changed", "One character of the header's MAC changed.", mac},
		{"other-version-of-age", "The version line of another age format.", func(b []byte) []byte {
			return bytes.Replace(b, []byte("org/v1"), []byte("org/v2"), 1)
		}},
	} {
		d := simple()
		d.shared().Age = rearmored(d.shared().Age, t.change)
		c.badEnvelope("envelope-"+t.file, t.comment, d)
	}
}

// stanzaVectors are stanzas that the age specification refuses, under a valid MAC. `refused` is not `not mine`: the
// reason is CannotOpen where a stanza is malformed, and NotARecipient where its AEAD fails.
func (c *collection) stanzaVectors() {
	stanza := func(file, comment, secret string, change func(*age.Stanza)) {
		d := newDraft(secret)
		d.put("password", "hunter2")
		d.shared().Age = must(makeEnvelope(dekText(d.dek), tampered{recipient(secret), change}))
		c.badEnvelope("stanza-"+file, comment, d)
	}
	argument := func(change func([]byte) []byte) func(*age.Stanza) {
		return func(s *age.Stanza) {
			raw := must(rawBase64.DecodeString(s.Args[0]))
			s.Args = []string{encodeArgument(change(raw))}
		}
	}
	shorter := func(b []byte) []byte { return b[:len(b)-1] }
	longer := func(b []byte) []byte { return append(b, 0) }
	for _, k := range []struct{ name, secret string }{{"hybrid", hybridProd}, {"x25519", x25519Prod}} {
		stanza(k.name+"-two-arguments", "A second argument.", k.secret, func(s *age.Stanza) { s.Args = append(s.Args, "x") })
		stanza(k.name+"-no-argument", "No argument.", k.secret, func(s *age.Stanza) { s.Args = nil })
		stanza(k.name+"-argument-short", "The argument holds one byte less.", k.secret, argument(shorter))
		stanza(k.name+"-argument-long", "The argument holds one byte more.", k.secret, argument(longer))
		stanza(k.name+"-argument-not-canonical", "Spare bits of the argument's last character are set: the same bytes.", k.secret,
			func(s *age.Stanza) { s.Args[0] = loose(s.Args[0]) })
		stanza(k.name+"-argument-padded", "Base64 in a header has no padding.", k.secret,
			func(s *age.Stanza) { s.Args[0] += "=" })
		stanza(k.name+"-body-short", "A body of 31 bytes.", k.secret, func(s *age.Stanza) { s.Body = shorter(s.Body) })
		stanza(k.name+"-body-long", "A body of 33 bytes: a file key is 16 bytes, without exception.", k.secret,
			func(s *age.Stanza) { s.Body = longer(s.Body) })
	}

	d := simple()
	d.shared().Age = must(makeEnvelope(dekText(d.dek), lowOrderX25519{publicKey(recipientOf(x25519Prod))}))
	c.badEnvelope("stanza-x25519-low-order", "The share is the all-zero point, and the body fits the all-zero secret.", d)

	d = newDraft(hybridProd)
	d.put("password", "hunter2")
	d.shared().Age = must(makeEnvelope(dekText(d.dek), lowOrderHybrid{publicKey(recipientOf(hybridProd))}))
	c.badEnvelope("stanza-hybrid-low-order", "The X25519 half of the share is the all-zero point, and the body fits the secret that comes of it.", d)

	notMine := func(file, comment, secret string, change func(*age.Stanza)) {
		d := newDraft(secret)
		d.put("password", "hunter2")
		d.shared().Age = must(makeEnvelope(dekText(d.dek), tampered{recipient(secret), change}))
		c.notForUs("stanza-"+file, comment+" An AEAD that fails means `not mine`.", d)
	}
	flipFirst := func(b []byte) []byte { b[0] ^= 1; return b }
	for _, k := range []struct{ name, secret string }{{"hybrid", hybridProd}, {"x25519", x25519Prod}} {
		notMine(k.name+"-body-flipped", "One bit of the body flipped.", k.secret, func(s *age.Stanza) { s.Body = flipFirst(s.Body) })
		notMine(k.name+"-argument-flipped", "One bit of the share flipped.", k.secret, argument(flipFirst))
		notMine(k.name+"-type-in-other-case", "The stanza's type in another case is another type.", k.secret, func(s *age.Stanza) {
			if s.Type == "X25519" {
				s.Type = "x25519"
			} else {
				s.Type = "MLKEM768X25519"
			}
		})
	}
}
