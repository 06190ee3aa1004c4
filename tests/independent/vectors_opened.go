package main

import (
	"strings"

	"filippo.io/age"
)

// openedVectors are documents that open.
func (c *collection) openedVectors() {
	d := newDraft(hybridProd)
	d.put("host", "db.example.test")
	d.put("password", "hunter2")
	c.opened("opened-hybrid", "One post-quantum recipient, two values, one shared envelope.", d)

	d = newDraft(x25519Prod)
	d.put("host", "db.example.test")
	d.put("password", "hunter2")
	c.opened("opened-x25519", "One X25519 recipient, two values, one shared envelope.", d)

	d = newDraft(hybridProd, hybridRecovery)
	d.put("password", "hunter2")
	d.identities = []string{hybridRecovery}
	c.opened("opened-hybrid-second-recipient", "Two post-quantum recipients; the second one opens.", d)

	d = newDraft(x25519Prod, x25519Recovery, x25519Test)
	d.put("password", "hunter2")
	d.identities = []string{x25519Test}
	c.opened("opened-x25519-third-recipient", "Three X25519 recipients; the third one opens.", d)

	d = newDraft(hybridProd)
	d.put("password", "hunter2")
	d.identities = []string{x25519Prod, hybridTest, hybridProd}
	c.opened("opened-last-of-three-identities", "Identities of another kind and of somebody else are passed over.", d)

	d = simple()
	d.shared().Recipients = []string{idOf(recipientOf(x25519Test))}
	d.identities = []string{x25519Test, x25519Prod}
	c.opened("opened-claim-lies", "The claimed recipient is not the real one: a claim orders the tries and decides nothing.", d)

	d = simple()
	own := randomBytes(dekSize)
	d.putUnder(own, "token", "t0ken", nil).Envelope = envelopeFor(own, x25519Prod)
	c.opened("opened-own-envelope", "One value in the shared envelope, one sealed alone later with its own.", d)

	d = simple()
	own = randomBytes(dekSize)
	d.EncryptedData["password"].Envelope = envelopeFor(own, x25519Prod)
	c.opened("opened-own-envelope-holds-another-key",
		"The item's own envelope gives another kid, so the shared one is used: what a deep merge by kustomize can leave behind.", d)

	d = simple()
	d.EncryptedData["password"].Envelope = envelopeFor(d.dek, x25519Test)
	c.opened("opened-own-envelope-for-others", "The item's own envelope is for somebody else, the shared one is for us.", d)

	d = newDraft(x25519Test)
	d.put("password", "hunter2")
	d.shared().Also = []ageFile{envelopeFor(d.dek, x25519Prod).ageFile}
	d.identities = []string{x25519Prod}
	c.opened("opened-also", "The first age file is for another key; the same data key stands in `also` for ours.", d)

	d = simple()
	d.shared().Also = []ageFile{envelopeFor(randomBytes(dekSize), x25519Prod).ageFile}
	c.opened("opened-also-holds-another-key", "An `also` that nobody could verify holds another key; the first age file is right.", d)

	d = simple()
	right := d.shared().ageFile
	d.shared().ageFile = envelopeFor(randomBytes(dekSize), x25519Prod).ageFile
	d.shared().Also = []ageFile{right}
	c.opened("opened-also-after-another-key", "The first age file holds another key, `also` the right one: the kid decides.", d)

	d = simple()
	right = d.shared().ageFile
	d.shared().Age = rearmored(right.Age, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	d.shared().Also = []ageFile{right}
	c.opened("opened-also-after-damage",
		"The first age file is damaged, `also` is whole. format.md is silent; trying on is safe, because kid and commitment decide.", d)

	d = simple()
	own = randomBytes(dekSize)
	mine := d.putUnder(own, "token", "t0ken", nil)
	mine.Envelope = envelopeFor(own, x25519Test)
	mine.Envelope.Also = []ageFile{envelopeFor(own, x25519Prod).ageFile}
	c.opened("opened-also-in-own-envelope", "`also` in the envelope of one item.", d)

	d = simple()
	d.putUnder(d.dek, "token", "t0ken", []string{"shop-prod/*", "shop-test/db"})
	c.opened("opened-own-scope", "One item has a scope of its own, which covers the live name too.", d)

	d = newDraft(x25519Prod)
	d.Scope = []string{"shop-prod/db", "shop-test/db"}
	d.put("host", "db.example.test")
	own = randomBytes(dekSize)
	d.putUnder(own, "password", "hunter2", []string{"shop-prod/db"}).Envelope = envelopeFor(own, x25519Prod)
	c.opened("opened-overlay-merged",
		"A base for two overlays, after kustomize merged the prod overlay's patch of one value into it.", d)

	d = newDraft(x25519Prod)
	d.Scope = nil
	d.Envelopes = nil
	d.at = live{source: true}
	own = randomBytes(dekSize)
	d.putUnder(own, "password", "hunter2", []string{"shop-prod/db"}).Envelope = envelopeFor(own, x25519Prod)
	c.opened("opened-source-patch",
		"An overlay's patch as a source file: no spec.scope, the item has its own. No live name, only the context counts.", d)

	d = simple()
	d.Scope = []string{"shop-prod/db-{hash}"}
	d.put("password", "hunter2")
	d.at = live{source: true}
	c.opened("opened-source-base", "A base as a source file: its name has no hash yet. No live name, only the context counts.", d)

	c.openedPatterns()
	c.openedValues()
	c.openedTexts()
}

// openedPatterns are scopes with something to match.
func (c *collection) openedPatterns() {
	for _, p := range []struct{ file, comment, pattern, namespace, name string }{
		{"hash", "A name with kustomize's suffix.", "shop-prod/db-{hash}", "shop-prod", "db-2456789bcd"},
		{"hash-and-star", "A star and kustomize's suffix on one side.", "shop-prod/*-db-{hash}", "shop-prod", "p-db-fghkmt2456"},
		{"star-name", "Namespace-wide; a run of characters may hold dots.", "shop-prod/*", "shop-prod", "db.credentials"},
		{"star-namespace", "A star on the side of the namespace.", "*/db", "shop-prod", "db"},
		{"star-everywhere", "Cluster-wide.", "*/*", "anything", "at-all"},
		{"two-stars-a-side", "Two stars a side, the most there may be.", "s*-p*/*-db-*", "shop-prod", "p-db-x-db-y"},
		{"star-matches-nothing", "A run may be empty.", "shop*-prod/db*", "shop-prod", "db"},
	} {
		d := newDraft(x25519Prod)
		d.Scope = []string{p.pattern}
		d.put("password", "hunter2")
		d.at = live{namespace: p.namespace, name: p.name}
		c.opened("opened-pattern-"+p.file, p.comment, d)
	}

	d := newDraft(x25519Prod)
	d.Scope = []string{"shop-prod/db", "shop-prod/db-{hash}", "shop-test/db"}
	d.put("password", "hunter2")
	c.opened("opened-pattern-one-of-three", "One pattern of three matches.", d)

	d = newDraft(x25519Prod)
	d.Scope = manyPatterns(32)
	d.put("password", "hunter2")
	d.at = live{namespace: "shop-prod", name: "db-31"}
	c.opened("opened-32-patterns", "As many patterns as there may be.", d)
}

// openedValues are values and types of every shape.
func (c *collection) openedValues() {
	for _, v := range []struct{ file, comment, value string }{
		{"empty", "An empty value is a value.", ""},
		{"63-bytes", "The longest value of the smallest size class.", strings.Repeat("v", 63)},
		{"64-bytes", "The shortest value of the second size class.", strings.Repeat("v", 64)},
		{"65-bytes", "One byte more.", strings.Repeat("v", 65)},
		{"71-bytes", "The longest value of the second size class.", strings.Repeat("v", 71)},
		{"ends-like-padding", "The value itself ends in 0x80 and zeros.", "value\x80\x00\x00"},
		{"zeros", "Nothing but zeros.", strings.Repeat("\x00", 40)},
		{"binary", "Bytes that are no text.", "\xff\xfe\x00\x01\r\n\t\x7f"},
		{"unicode", "Text beyond ASCII: values are bytes.", "pässwörd – 密码 🔑"},
		{"30000-bytes", "A large value: PADME rounds it up to 30,720.", strings.Repeat("0123456789", 3000)},
	} {
		d := newDraft(x25519Prod)
		d.put("password", v.value)
		c.opened("opened-value-"+v.file, v.comment, d)
	}

	d := newDraft(x25519Prod)
	d.setType("kubernetes.io/tls")
	d.put("tls.crt", "certificate")
	d.put("tls.key", "key")
	c.opened("opened-type-tls", "Another type than Opaque is part of the context. What a tls Secret must hold is not the format's concern.", d)

	d = newDraft(x25519Prod)
	d.setType("example.test/credentials.v1")
	d.put("password", "hunter2")
	c.opened("opened-type-custom", "A type of somebody's own.", d)

	d = newDraft(x25519Prod)
	d.setType(typeOpaque)
	d.put("password", "hunter2")
	d.Type = nil
	c.opened("opened-type-left-out", "Sealed as Opaque; the document does not say its type, which means the same.", d)

	d = newDraft(x25519Prod)
	d.setType(typeServiceAccountToken)
	d.Envelopes = nil
	c.opened("opened-no-values", "The cluster fills a service-account-token: no value is sealed.", d)

	d = newDraft(x25519Prod)
	d.put(".dotfile", "1")
	d.put("-_.", "2")
	d.put(strings.Repeat("k", maxName), "3")
	d.put("1234567890123456", "4")
	d.put("0x10", "5")
	d.put("true", "6")
	c.opened("opened-data-keys", "Every shape that Kubernetes allows for a data key, the longest one and those that YAML must quote.", d,
		// The writer makes an explicit key of a long one, `? key`, which nobody else does.
		swap("    ? "+strings.Repeat("k", maxName)+"\n    : value: ", "    "+strings.Repeat("k", maxName)+":\n      value: "))

	d = simple()
	immutable := true
	d.Immutable = &immutable
	d.Template = &template{}
	d.Template.Metadata = &struct {
		Labels      map[string]string `json:"labels,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}{map[string]string{"app": "shop"}, map[string]string{"example.test/note": "not authenticated"}}
	c.opened("opened-immutable-and-template", "`immutable` and `template` are part of a document, not of the context.", d)
}

// openedTexts are other ways to write the same document.
func (c *collection) openedTexts() {
	d := simple()
	d.identities = []string{x25519Prod}
	c.opened("opened-layout", "The layout of the specification: its order of fields, comments, quotes, a flow sequence.", d,
		func(string) string { return layout(d) })

	c.opened("opened-crlf", "CRLF line ends, as a checkout on Windows makes them: YAML reads them as line feeds.", simple(),
		func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") })

	c.opened("opened-no-last-newline", "No line end after the armor's last line.", simple(),
		func(text string) string { return strings.Replace(text, "age: |\n", "age: |-\n", 1) })

	d = simple()
	d.EncryptedData["password"].Envelope = nil
	c.opened("opened-envelope-null", "`envelope: null`, which a patch writes to take an item's own envelope away.", d,
		swap("    password:\n", "    password:\n      envelope: null\n"))

	d = simple()
	d.shared().Age = must(makeEnvelope(dekText(d.dek), recipient(x25519Prod), fixed{
		{Type: "joint-oil", Args: []string{"x"}, Body: []byte("grease that no reader knows")},
	}))
	c.opened("opened-grease", "A stanza of an unknown type beside ours, as age implementations add them.", d)

	d = simple()
	d.shared().Age = must(makeEnvelope(dekText(d.dek), slicesOf(32, recipient(x25519Prod), greaseStanza(20))...))
	c.opened("opened-33-stanzas", "As many stanzas as there may be: 32 recipients and one of grease.", d)

	d = simple()
	d.shared().Age = must(makeEnvelope(dekText(d.dek), recipient(x25519Prod), greaseLines(124)))
	c.opened("opened-128-header-lines",
		"As many lines as a header may have, its version line and the line of its MAC counted. format.md does not say that these count.", d)

	d = simple()
	d.shared().Age = must(makeEnvelope(dekText(d.dek), greaseArgument(72_000), recipient(x25519Prod)))
	c.opened("opened-large-envelope", "An envelope a little below 96 KiB, armored.", d)

	d = simple()
	orphan := envelopeFor(randomBytes(dekSize), x25519Prod)
	d.Envelopes["k0000000000000001"] = orphan
	c.opened("opened-orphan-envelope", "An envelope that no value refers to is a note of check, no fault.", d)

	d = simple()
	c.opened("opened-128-envelopes", "As many envelopes as there may be.", d, func(text string) string {
		return text[:strings.Index(text, "  scope:\n")] + repeat(1, 127, indented("k000000000000%n", d.shared())) +
			text[strings.Index(text, "  scope:\n"):]
	})
}

// layout writes a draft as the specification shows a document.
func layout(d *draft) string {
	var out strings.Builder
	out.WriteString("# a comment\napiVersion: ageseal.dev/v1alpha1\nkind: SealedSecret\nmetadata:\n  name: db\n" +
		"  namespace: shop-prod\nspec:\n  scope:   # one pattern a line\n  - 'shop-prod/db'\n  type: Opaque\n" +
		"  immutable: false\n  encryptedData:\n    password:\n      value: " + d.EncryptedData["password"].Value +
		"\n  envelopes:\n    k" + d.kid + ":\n      recipients: [" + strings.Join(d.shared().Recipients, ", ") +
		"]\n      age: |\n")
	for line := range strings.Lines(d.shared().Age) {
		out.WriteString("        " + line)
	}
	return out.String()
}

// indented writes an envelope as an entry of spec.envelopes.
func indented(key string, e *envelope) string {
	var out strings.Builder
	out.WriteString("    " + key + ":\n      age: |\n")
	for line := range strings.Lines(e.Age) {
		out.WriteString("        " + line)
	}
	out.WriteString("      recipients:\n      - " + strings.Join(e.Recipients, "\n      - ") + "\n")
	return out.String()
}

func greaseStanza(size int) age.Recipient {
	return fixed{{Type: "joint-oil", Body: randomBytes(size)}}
}

// greaseLines is a stanza of so many lines, its first one counted.
func greaseLines(lines int) age.Recipient {
	// 48 bytes a line; the last line is short.
	return fixed{{Type: "joint-oil", Body: make([]byte, (lines-2)*48+1)}}
}

// greaseArgument is a stanza whose one line is long and, inside the armor, made of equal lines.
func greaseArgument(size int) age.Recipient {
	return fixed{{Type: "joint-oil", Args: []string{strings.Repeat("a", size)}}}
}

// slicesOf gives one recipient so many times and then another.
func slicesOf(times int, r, last age.Recipient) []age.Recipient {
	var recipients []age.Recipient
	for range times {
		recipients = append(recipients, r)
	}
	return append(recipients, last)
}
