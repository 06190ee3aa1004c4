package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// vector is one file of tests/vectors; its README.md describes the format.
type vector struct {
	file       string // without .txt
	comment    string
	refused    *refusal // nil: it opens
	at         live
	identities []string
	secretType string
	values     map[string]string // what it opens to
	body       string            // the document, with repetitions
}

// text writes the file.
func (v *vector) text() string {
	var out strings.Builder
	field := func(name, value string) { fmt.Fprintf(&out, "%s: %s\n", name, value) }
	if v.refused == nil {
		field("expect", "opened")
	} else {
		field("expect", "refused")
		field("step", v.refused.Step)
		field("reason", v.refused.Reason)
		if v.refused.Key != "" {
			field("key", v.refused.Key)
		}
	}
	field("comment", v.comment)
	if !v.at.source {
		field("namespace", v.at.namespace)
		field("name", v.at.name)
	}
	for _, identity := range v.identities {
		field("identity", identity)
	}
	if v.refused == nil {
		field("type", v.secretType)
		for _, key := range sortedKeys(v.values) {
			encoded := base64.StdEncoding.EncodeToString([]byte(v.values[key]))
			field("value", strings.TrimRight(key+" "+encoded, " "))
		}
	}
	return out.String() + "---\n" + v.body
}

// parseVector reads the text of a file.
func parseVector(file, text string) (*vector, error) {
	header, body, found := strings.Cut(text, "\n---\n")
	if !found {
		return nil, fmt.Errorf("%s: no line --- after the header", file)
	}
	v := &vector{file: file, body: body, at: live{source: true}, values: map[string]string{}}
	expect, refused := "", refusal{}
	for line := range strings.SplitSeq(header, "\n") {
		field, value, found := strings.Cut(line, ": ")
		if !found {
			return nil, fmt.Errorf("%s: not a header line: %q", file, line)
		}
		switch field {
		case "expect":
			expect = value
		case "step":
			refused.Step = value
		case "reason":
			refused.Reason = value
		case "key":
			refused.Key = value
		case "comment":
			v.comment = value
		case "namespace":
			v.at.namespace, v.at.source = value, false
		case "name":
			v.at.name, v.at.source = value, false
		case "identity":
			v.identities = append(v.identities, value)
		case "type":
			v.secretType = value
		case "value":
			key, encoded, _ := strings.Cut(value, " ")
			decoded, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			v.values[key] = string(decoded)
		default:
			return nil, fmt.Errorf("%s: unknown header field %q", file, field)
		}
	}
	switch expect {
	case "opened":
	case "refused":
		v.refused = &refused
	default:
		return nil, fmt.Errorf("%s: expect is neither opened nor refused", file)
	}
	return v, nil
}

// readVectors reads every vector of a folder, sorted by name.
func readVectors(folder string) ([]*vector, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		return nil, err
	}
	var vectors []*vector
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		v, err := parseVector(strings.TrimSuffix(filepath.Base(path), ".txt"), string(text))
		if err != nil {
			return nil, err
		}
		vectors = append(vectors, v)
	}
	return vectors, nil
}

// check opens a vector and tells how the result differs from what the vector expects.
func (v *vector) check() error {
	identities, err := parseIdentities(strings.NewReader(strings.Join(v.identities, "\n")))
	if err != nil {
		return fmt.Errorf("%s: %w", v.file, err)
	}
	document, err := writtenOut(v.body)
	if err != nil {
		return fmt.Errorf("%s: %w", v.file, err)
	}
	documents, err := readStream([]byte(document))
	var opened *secret
	refused, _ := err.(*refusal)
	if err == nil && len(documents) != 1 {
		return fmt.Errorf("%s: %d documents", v.file, len(documents))
	}
	if err == nil {
		opened, refused = documents[0].open(identities, v.at)
	}
	switch {
	case v.refused == nil && refused != nil:
		return fmt.Errorf("%s: %w", v.file, refused)
	case v.refused == nil:
		return v.compare(opened)
	case refused == nil:
		return fmt.Errorf("%s: opened, but %w", v.file, v.refused)
	case refused.Step != v.refused.Step || refused.Reason != v.refused.Reason,
		v.refused.Key != "" && refused.Key != v.refused.Key:
		return fmt.Errorf("%s: %w; expected: %w", v.file, refused, v.refused)
	}
	return nil
}

func (v *vector) compare(opened *secret) error {
	if opened.Type != v.secretType || !slices.Equal(sortedKeys(opened.Data), sortedKeys(v.values)) {
		return fmt.Errorf("%s: opened to type %s, keys %v", v.file, opened.Type, sortedKeys(opened.Data))
	}
	for key, value := range v.values {
		if string(opened.Data[key]) != value {
			return fmt.Errorf("%s: %s opened to another value", v.file, key)
		}
	}
	return nil
}

// writtenOut writes out `%repeat FROM TO` … `%end`: the lines between them, once for each number, with `%n` as its
// four digits.
func writtenOut(body string) (string, error) {
	var out, block strings.Builder
	from, to, inside := 0, 0, false
	for line := range strings.Lines(body) {
		trimmed := strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "%repeat "):
			if n, err := fmt.Sscanf(trimmed, "%%repeat %d %d", &from, &to); n != 2 || inside {
				return "", fmt.Errorf("%q: %w", trimmed, err)
			}
			inside = true
			block.Reset()
		case trimmed == "%end":
			if !inside {
				return "", fmt.Errorf("%%end without %%repeat")
			}
			for n := from; n <= to; n++ {
				out.WriteString(strings.ReplaceAll(block.String(), "%n", fmt.Sprintf("%04d", n)))
			}
			inside = false
		case inside:
			block.WriteString(line)
		default:
			out.WriteString(line)
		}
	}
	if inside {
		return "", fmt.Errorf("%%repeat without %%end")
	}
	return out.String(), nil
}

// repeat writes a repetition.
func repeat(from, to int, lines string) string {
	return "%repeat " + strconv.Itoa(from) + " " + strconv.Itoa(to) + "\n" + lines + "%end\n"
}

// shortened writes runs of equal lines as repetitions.
func shortened(body string) string {
	const worthIt = 8
	lines := slices.Collect(strings.Lines(body))
	var out strings.Builder
	for start := 0; start < len(lines); {
		end := start + 1
		for end < len(lines) && lines[end] == lines[start] {
			end++
		}
		if end-start >= worthIt {
			out.WriteString(repeat(1, end-start, lines[start]))
		} else {
			out.WriteString(strings.Join(lines[start:end], ""))
		}
		start = end
	}
	return out.String()
}
