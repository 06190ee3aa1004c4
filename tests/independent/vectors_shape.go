package main

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// shapeVectors are documents that are refused before any key is touched. Where it can be done, the values are sealed
// for what the document says, so that a reader without the check opens them.
func (c *collection) shapeVectors() {
	c.malformed("shape-other-version-of-the-api", "Another apiVersion of the same group.", simple(),
		swap("ageseal.dev/v1alpha1", "ageseal.dev/v1beta1"))
	c.malformed("shape-other-kind", "Another kind of the same group.", simple(), swap("kind: SealedSecret", "kind: SealedSecrets"))
	c.malformed("shape-unknown-field-in-document", "A field beside spec that the format does not know.", simple(),
		swap("spec:\n", "data: {}\nspec:\n"))
	c.malformed("shape-unknown-field-in-spec", "A field in spec that the format does not know.", simple(),
		swap("spec:\n", "spec:\n  suspend: true\n"))
	c.malformed("shape-unknown-field-in-item", "A field in an item that the format does not know.", simple(),
		swap("    password:\n", "    password:\n      note: text\n"))
	c.malformed("shape-unknown-field-in-envelope", "A field in an envelope that the format does not know.", simple(),
		swap("      age: |\n", "      note: text\n      age: |\n"))
	c.malformed("shape-unknown-field-in-template", "A template knows labels and annotations only.", simple(),
		swap("spec:\n", "spec:\n  template:\n    type: Opaque\n"))
	c.malformed("shape-field-in-other-case", "Fields are named in one case: Kubernetes does not take `encrypteddata`.", simple(),
		swap("encryptedData:", "encrypteddata:"))
	c.malformed("shape-duplicate-data-key", "One data key twice: readers differ on which one counts.", simple(),
		func(text string) string {
			block := text[strings.Index(text, "    password:\n"):strings.Index(text, "  envelopes:\n")]
			return strings.Replace(text, block, block+block, 1)
		})
	c.malformed("shape-no-spec", "No spec at all.", simple(), func(text string) string {
		return text[:strings.Index(text, "spec:\n")]
	})
	d := simple()
	d.EncryptedData = nil
	c.malformed("shape-no-values", "No value at all, and not of the type that the cluster fills. format.md is silent.", d)
	d = simple()
	d.EncryptedData["password"] = nil
	c.malformed("shape-item-is-null", "An item without anything in it.", d)
	d = simple()
	c.malformed("shape-item-is-text", "An item is a block of its own, not the text of a value.", d, func(text string) string {
		return strings.Replace(text, "    password:\n      value: ", "    password: ", 1)
	})

	c.shapeNames()
	c.shapeValues()
	c.shapeEnvelopes()
}

func (c *collection) shapeNames() {
	for _, k := range []struct{ file, comment, key string }{
		{"unicode", "A data key beyond ASCII.", "pässwort"},
		{"slash", "A data key with a slash.", "db/password"},
		{"space", "A data key with a space.", "db password"},
		{"empty", "An empty data key.", ""},
		{"one-dot", "Kubernetes refuses the data key `.`.", "."},
		{"two-dots", "Kubernetes refuses data keys that begin with two dots.", "..password"},
		{"254-bytes", "A data key of 254 bytes.", strings.Repeat("k", maxName+1)},
	} {
		d := newDraft(x25519Prod)
		d.put(k.key, "hunter2")
		c.malformed("shape-key-"+k.file, k.comment, d)
	}
	for _, t := range []struct{ file, comment, secretType string }{
		{"empty", "An empty type is not the same as none. format.md is silent; an empty one has no Kubernetes syntax.", ""},
		{"space", "A type with a space. Kubernetes itself hardly checks types; all in use are qualified names.", "Opa que"},
		{"line-feed", "A type that ends in a line feed.", "Opaque\n"},
		{"254-bytes", "A type of 254 bytes.", strings.Repeat("t", maxName+1)},
		{"70000-bytes", "A type whose length does not fit into two bytes.", ""},
	} {
		d := newDraft(x25519Prod)
		d.setType(t.secretType)
		d.put("password", "hunter2")
		if t.file == "70000-bytes" {
			c.malformed("shape-type-70000-bytes", t.comment, d, swap("  type: \"\"\n",
				"  type: \"t\\\n"+strings.Repeat("    "+strings.Repeat("t", 70)+"\\\n", 1000)+"    t\"\n"))
			continue
		}
		c.malformed("shape-type-"+t.file, t.comment, d)
	}
	c.malformed("shape-type-is-a-number", "A type that YAML reads as a number.", simple(), swap("spec:\n", "spec:\n  type: 123\n"))
}

func (c *collection) shapeValues() {
	change := func(f func(string) string) *draft {
		d := simple()
		i := d.EncryptedData["password"]
		i.Value = f(i.Value)
		return d
	}
	for _, v := range []struct {
		file, comment string
		change        func(string) string
	}{
		{"no-prefix", "The text of a value begins with its version.", func(s string) string { return strings.TrimPrefix(s, "ags1.") }},
		{"other-version", "A version that this reader does not know.", func(s string) string { return "ags2." + s[5:] }},
		{"upper-case-prefix", "The version is lower case.", func(s string) string { return "AGS1." + s[5:] }},
		{"no-kid", "No kid between the version and the blob.", func(s string) string { return "ags1." + s[22:] }},
		{"upper-case-kid", "A kid is lower case: one spelling a key.", func(s string) string {
			return s[:5] + "ABCDEF0123456789" + s[21:]
		}},
		{"short-kid", "A kid of 15 characters.", func(s string) string { return s[:20] + s[21:] }},
		{"base64-not-canonical", "Spare bits of the last character are set: the same bytes, another text.", loose},
		{"base64-no-padding", "The padding of base64 is left out.", func(s string) string { return strings.TrimRight(s, "=") }},
		{"base64-url-alphabet", "The alphabet for URLs.", func(s string) string {
			return s[:22] + "-_-_" + s[26:]
		}},
		{"base64-line-break", "A space inside the base64, as a folded scalar makes it.", func(s string) string {
			return s[:60] + " " + s[60:]
		}},
		{"text-after", "Text after the base64.", func(s string) string { return s + "." }},
		{"empty", "No text at all.", func(string) string { return "" }},
		{"shorter-than-any", "A blob of 133 bytes, below the shortest that there can be: a fault of shape, for anybody can see it.",
			func(s string) string {
				blob := must(base64.StdEncoding.DecodeString(s[22:]))
				return s[:22] + base64.StdEncoding.EncodeToString(blob[:minBlob-3])
			}},
	} {
		c.malformed("shape-value-"+v.file, v.comment, change(v.change))
	}
	c.malformed("shape-value-above-2-mib", "The text of one value is longer than 2 MiB.", simple(), func(text string) string {
		value := regexp.MustCompile(`value: (ags1\.[0-9a-f]{16}\.)\S+\n`)
		line := "        " + strings.Repeat("A", 128) + "\\\n"
		return value.ReplaceAllString(text, "value: \"$1\\\n"+strings.Repeat(line, 2<<20/128)+"        AAAA\"\n")
	})
}

func (c *collection) shapeEnvelopes() {
	d := simple()
	delete(d.Envelopes, "k"+d.kid)
	c.malformed("shape-envelope-missing",
		"The value's kid is nowhere in spec.envelopes. format.md is silent; anybody can see it, so it is a fault of shape.", d)

	d = simple()
	text := d.EncryptedData["password"].Value
	other := "0"
	if text[5] == '0' {
		other = "1"
	}
	d.EncryptedData["password"].Value = text[:5] + other + text[6:]
	c.malformed("shape-kid-changed", "One character of a value's kid changed: its envelope is not there.", d)

	rename := func(to func(string) string) edit {
		return func(text string) string {
			return regexp.MustCompile(`(?m)^    (k[0-9a-f]{16}):$`).ReplaceAllStringFunc(text, func(line string) string {
				return "    " + to(strings.Trim(line, " :")) + ":"
			})
		}
	}
	c.malformed("shape-envelope-key-without-k", "A key of spec.envelopes that begins without `k`, quoted.", simple(),
		rename(func(key string) string { return "'" + key[1:] + "'" }))
	c.malformed("shape-envelope-key-is-a-number", "A key of spec.envelopes that YAML reads as a number.", simple(),
		rename(func(string) string { return "1234567890123456" }))
	c.malformed("shape-envelope-key-is-a-float", "A key of spec.envelopes that YAML reads as a float.", simple(),
		rename(func(string) string { return "0000000000000e01" }))
	c.malformed("shape-envelope-key-in-upper-case", "A kid is lower case in every place. The value's own envelope serves.", func() *draft {
		d := simple()
		d.EncryptedData["password"].Envelope = d.shared()
		return d
	}(), rename(func(string) string { return "kABCDEF0123456789" }))

	for _, r := range []struct{ file, comment, line string }{
		{"without-r", "A recipient id without `r`, quoted.", "      - '7d793037a0760186'\n"},
		{"is-a-number", "A recipient id that YAML reads as a number.", "      - 1234567890123456\n"},
		{"in-upper-case", "A recipient id in upper case.", "      - R7D793037A0760186\n"},
		{"is-a-recipient", "A recipient in place of its id.", "      - " + recipientOf(x25519Prod) + "\n"},
	} {
		c.malformed("shape-recipient-id-"+r.file, r.comment, simple(), func(text string) string {
			return regexp.MustCompile(`(?m)^      - r[0-9a-f]{16}\n`).ReplaceAllString(text, r.line)
		})
	}
	d = simple()
	d.shared().Recipients = []string{}
	c.malformed("shape-no-recipient-ids", "An envelope that claims no recipient. format.md is silent; a writer always has one.", d)
	c.malformed("shape-envelope-without-age", "An envelope without an age file.", simple(), func(text string) string {
		start, end := strings.Index(text, "      age: |\n"), strings.Index(text, "      recipients:\n")
		return text[:start] + text[end:]
	})

	armor := func(file, comment string, change func(string) string) {
		d := simple()
		d.shared().Age = change(d.shared().Age)
		c.malformed("shape-armor-"+file, comment+" It cannot be counted, so it is out of bounds.", d)
	}
	armor("without-its-end", "The armor has lost its last line.", func(s string) string { return strings.Replace(s, armorEnd+"\n", "", 1) })
	armor("cut-in-its-header", "Only the first lines of the armor are left: the header has no end.", func(s string) string {
		lines := slices.Collect(strings.Lines(s))
		return lines[0] + lines[1] + armorEnd + "\n"
	})
	armor("none", "An age file without armor.", func(string) string { return "age-encryption.org/v1\n" })
	armor("wide-lines", "Lines of 76 columns.", func(s string) string {
		body := base64.StdEncoding.EncodeToString(must1(dearmor(s)))
		var out strings.Builder
		for len(body) > 76 {
			fmt.Fprintln(&out, body[:76])
			body = body[76:]
		}
		return armorBegin + "\n" + out.String() + body + "\n" + armorEnd + "\n"
	})
}

// must1 is must for a function that tells success.
func must1[T any](value T, ok bool) T {
	if !ok {
		panic("not what it should be")
	}
	return value
}

// capVectors are one more than there may be of everything that is counted.
func (c *collection) capVectors() {
	items := func(to int) edit {
		return func(text string) string {
			value := regexp.MustCompile(`value: \S+\n`).FindString(text)
			return strings.Replace(text, "  envelopes:\n", repeat(1, to, "    zz%n:\n      "+value)+"  envelopes:\n", 1)
		}
	}
	c.malformed("caps-1025-items", "One item more than there may be. All but the first are copies that would not open.", simple(), items(1024))
	c.badValue("caps-1024-items", "zz0001",
		"As many items as there may be: not a matter of caps. All but the first are copies, and copies do not open.", simple(), items(1023))

	envelopes := func(e *envelope) edit {
		return func(text string) string {
			at := strings.Index(text, "  scope:\n")
			return text[:at] + repeat(1, 128, indented("k000000000000%n", e)) + text[at:]
		}
	}
	d := simple()
	c.malformed("caps-129-envelopes", "One envelope more than there may be; only the first is needed.", d, envelopes(d.shared()))
	d = simple()
	c.malformed("caps-128-also", "One envelope with 128 further age files: they count.", d, func(text string) string {
		e := d.shared()
		block := strings.ReplaceAll(indented("", e), "\n  ", "\n    ")
		block = "      - " + strings.TrimLeft(strings.TrimPrefix(block, "    :\n"), " ")
		return strings.Replace(text, "      recipients:\n", "      also:\n"+repeat(1, 128, block)+"      recipients:\n", 1)
	})
	d = simple()
	d.EncryptedData["password"].Envelope = d.shared()
	c.malformed("caps-128-envelopes-and-an-own", "128 shared envelopes and one of an item: all are counted.", d, func(text string) string {
		at := strings.LastIndex(text, "  scope:\n")
		return text[:at] + repeat(1, 127, indented("k000000000000%n", d.shared())) + text[at:]
	})

	forged := func(file, comment string, e *envelope, dek []byte) {
		d := newDraft(x25519Prod)
		d.dek, d.kid = dek, kidOf(dek)
		d.Envelopes = map[string]*envelope{"k" + d.kid: e}
		d.put("password", "hunter2")
		c.malformed(file, comment, d)
	}
	dek := randomBytes(dekSize)
	reader := recipient(x25519Prod)
	forged("caps-34-stanzas", "One stanza more than there may be.",
		forgedEnvelope(dekText(dek), slicesOf(33, reader, greaseStanza(20))...), dek)
	forged("caps-129-header-lines", "One header line more than there may be, the version line and the line of the MAC counted.",
		forgedEnvelope(dekText(dek), reader, greaseLines(125)), dek)
	forged("caps-400-header-lines", "Far more header lines than there may be.",
		forgedEnvelope(dekText(dek), reader, greaseLines(400)), dek)
	forged("caps-large-envelope", "An envelope a little above 96 KiB, armored.",
		forgedEnvelope(dekText(dek), greaseArgument(73_000), reader), dek)
	d = simple()
	d.Envelopes["k0000000000000001"] = forgedEnvelope(dekText(dek), slicesOf(33, reader, greaseStanza(20))...)
	c.malformed("caps-34-stanzas-in-an-orphan", "The caps hold for an envelope that no value refers to.", d)
	d = simple()
	d.shared().Also = []ageFile{forgedEnvelope(dekText(dek), slicesOf(33, reader, greaseStanza(20))...).ageFile}
	c.malformed("caps-34-stanzas-in-also", "The caps hold for `also`.", d)
}

// manyPatterns is a scope of so many patterns.
func manyPatterns(count int) []string {
	patterns := make([]string, count)
	for n := range patterns {
		patterns[n] = fmt.Sprintf("shop-prod/db-%02d", n)
	}
	return patterns
}
