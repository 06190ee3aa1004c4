package main

import (
	"bytes"
	"encoding/base64"
)

// valueVectors are values that were changed or moved: each fails with the one opaque reason.
func (c *collection) valueVectors() {
	for _, f := range []struct {
		file, comment string
		at            int // a byte of the blob; below zero counts from its end
	}{
		{"salt-flipped", "The first bit of the salt.", 0},
		{"commitment-flipped", "One bit of the commitment.", saltSize},
		{"commitment-last-bit-flipped", "The last byte of the commitment counts too.", saltSize + commitmentSize - 1},
		{"ciphertext-flipped", "One bit of the ciphertext.", saltSize + commitmentSize},
		{"padding-flipped", "One bit of the encrypted padding.", saltSize + commitmentSize + 40},
		{"tag-flipped", "The last byte of the tag.", -1},
	} {
		d := simple()
		d.EncryptedData["password"].Value = reblobbed(d.EncryptedData["password"].Value, func(blob []byte) []byte {
			blob[(f.at+len(blob))%len(blob)] ^= 1
			return blob
		})
		c.badValue("value-"+f.file, "password", f.comment, d)
	}
	d := newDraft(x25519Prod)
	d.put("password", string(bytes.Repeat([]byte("v"), 100)))
	i := d.EncryptedData["password"]
	i.Value = reblobbed(i.Value, func(blob []byte) []byte { return blob[:len(blob)-3] })
	c.badValue("value-truncated", "password", "The blob has lost three bytes and is still longer than the shortest.", d)
	d = simple()
	i = d.EncryptedData["password"]
	i.Value = reblobbed(i.Value, func(blob []byte) []byte { return append(blob, 0) })
	c.badValue("value-longer", "password", "One byte after the tag.", d)

	c.movedVectors()
	c.paddingVectors()
}

// movedVectors put a whole value where it was not sealed for.
func (c *collection) movedVectors() {
	d := simple()
	d.EncryptedData["passwort"] = d.EncryptedData["password"]
	delete(d.EncryptedData, "password")
	c.badValue("moved-to-another-key", "passwort", "The value under another data key.", d)

	d = newDraft(x25519Prod)
	d.put("host", "db.example.test")
	d.put("password", "hunter2")
	d.EncryptedData["host"], d.EncryptedData["password"] = d.EncryptedData["password"], d.EncryptedData["host"]
	c.badValue("moved-swapped", "host", "Two values of one document under each other's data keys.", d)

	d = simple()
	d.setType("kubernetes.io/basic-auth")
	c.badValue("moved-to-another-type", "password", "The type of the document edited.", d)

	d = newDraft(x25519Prod)
	d.setType("kubernetes.io/basic-auth")
	d.put("password", "hunter2")
	d.Type = nil
	c.badValue("moved-type-left-out", "password", "The type of the document removed: without one it is Opaque.", d)

	d = simple()
	d.Scope = []string{"shop-prod/*"}
	c.badValue("moved-scope-widened", "password", "The scope widened to the whole namespace.", d)

	d = simple()
	d.Scope = []string{"shop-prod/db", "shop-test/db"}
	c.badValue("moved-scope-second-pattern", "password", "A second pattern added to the scope.", d)

	d = newDraft(x25519Prod)
	d.Scope = []string{"shop-prod/db", "shop-test/db"}
	d.put("password", "hunter2")
	d.Scope = []string{"shop-prod/db"}
	c.badValue("moved-scope-narrowed", "password", "A pattern removed from the scope: narrower, and still another scope.", d)

	d = simple()
	d.Scope = []string{"shop-test/db"}
	d.at = live{namespace: "shop-test", name: "db"}
	c.badValue("moved-to-another-namespace", "password", "The document copied to another namespace and its scope edited to fit.", d)

	d = simple()
	d.Scope = []string{"shop-prod/db2"}
	d.at = live{namespace: "shop-prod", name: "db2"}
	c.badValue("moved-to-another-name", "password", "The document copied to another name and its scope edited to fit.", d)

	d = simple()
	d.Scope = []string{"shop-prod/db", "shop-prod/dbx"}
	d.at = live{source: true}
	c.badValue("moved-scope-in-source", "password", "A source file has no live name, but its scope is authenticated all the same.", d)

	d = newDraft(x25519Prod)
	d.Scope = []string{"shop-prod/*"}
	d.putUnder(d.dek, "password", "hunter2", []string{"shop-prod/db"})
	d.EncryptedData["password"].Scope = nil
	c.badValue("moved-item-scope-removed", "password", "The item's own scope removed: that of the document is wider.", d)

	d = simple()
	d.putUnder(d.dek, "password", "hunter2", []string{"shop-prod/db", "shop-prod/db2"})
	d.EncryptedData["password"].Scope = []string{"shop-prod/db", "shop-prod/db3"}
	c.badValue("moved-item-scope-edited", "password", "The item's own scope edited; it still covers the live name.", d)

	d = simple()
	d.EncryptedData["password"].Scope = []string{"*/*"}
	c.badValue("moved-item-scope-added", "password", "A scope added to an item that was sealed for the document's.", d)

	d = newDraft(x25519Prod)
	d.Scope = []string{"shop-prod/db"}
	i := d.put("password", "hunter2")
	other := newDraft(x25519Prod)
	other.Scope = []string{"shop-prod/cache"}
	other.put("password", "hunter3")
	d.Envelopes["k"+other.kid] = other.shared()
	i.Value = other.EncryptedData["password"].Value
	c.badValue("moved-from-another-document", "password", "A value of another document of the namespace, with its envelope.", d)
}

// paddingVectors are values that were sealed with the right key and padded wrongly.
func (c *collection) paddingVectors() {
	padded := func(length int, start string) []byte {
		b := make([]byte, length)
		copy(b, start)
		return b
	}
	for _, p := range []struct {
		file, comment string
		padded        []byte
	}{
		{"none", "64 bytes without the mark 0x80.", padded(64, "hunter2")},
		{"zeros", "Nothing but zeros.", padded(64, "")},
		{"no-mark-full", "64 bytes of text, no room for a mark.", bytes.Repeat([]byte("v"), 64)},
		{"not-minimal", "72 bytes where 64 are enough.", padded(72, "hunter2\x80")},
		{"not-minimal-large", "A size class above the smallest that fits.", padded(1088, string(bytes.Repeat([]byte("v"), 1000))+"\x80")},
		{"no-size-class", "65 bytes: no size class of PADME.", padded(65, "hunter2\x80")},
		{"rounded-too-little", "A length that PADME would have rounded up.", padded(101, string(bytes.Repeat([]byte("v"), 100))+"\x80")},
		{"other-mark", "The mark is 0x01.", padded(64, "hunter2\x01")},
		{"not-zero", "A byte after the mark that is not zero.", padded(64, "hunter2\x80\x00\x00\x01")},
	} {
		d := newDraft(x25519Prod)
		d.putPadded("password", p.padded)
		c.badValue("padding-"+p.file, "password", p.comment, d)
	}
}

// reblobbed changes the bytes of a value, not its kid.
func reblobbed(text string, change func([]byte) []byte) string {
	const head = len("ags1.") + 16 + 1
	blob := must(base64.StdEncoding.DecodeString(text[head:]))
	return text[:head] + base64.StdEncoding.EncodeToString(change(blob))
}
