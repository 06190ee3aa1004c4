package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"

	kubejson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Caps of a document.
const (
	maxItems     = 1024
	maxEnvelopes = 128
	maxName      = 253 // of a type and of a data key
)

const (
	apiGroup   = "ageseal.dev/"
	apiVersion = apiGroup + "v1alpha1"
	kind       = "SealedSecret"

	typeOpaque              = "Opaque"
	typeServiceAccountToken = "kubernetes.io/service-account-token"
)

var (
	// dataKey is what Kubernetes takes as a key of a Secret; validKey knows the rest.
	dataKey = regexp.MustCompile(`^[-._a-zA-Z0-9]+$`)
	// typeName is a qualified name of Kubernetes: all types that are in use are one.
	typeName    = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$`)
	envelopeKey = regexp.MustCompile(`^k[0-9a-f]{16}$`)
	recipientID = regexp.MustCompile(`^r[0-9a-f]{16}$`)
)

// document is a SealedSecret. Metadata and status belong to Kubernetes and may hold whatever it wants.
type document struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   json.RawMessage `json:"metadata"`
	Spec       *spec           `json:"spec"`
	Status     json.RawMessage `json:"status,omitempty"`
}

type metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

type spec struct {
	Scope         []string             `json:"scope,omitempty"`
	Type          *string              `json:"type,omitempty"`
	Immutable     *bool                `json:"immutable,omitempty"`
	EncryptedData map[string]*item     `json:"encryptedData,omitempty"`
	Envelopes     map[string]*envelope `json:"envelopes,omitempty"`
	Template      *template            `json:"template,omitempty"`
}

type item struct {
	Value    string    `json:"value"`
	Scope    []string  `json:"scope,omitempty"`
	Envelope *envelope `json:"envelope,omitempty"`
}

type ageFile struct {
	Recipients []string `json:"recipients"`
	Age        string   `json:"age"`
}

type envelope struct {
	ageFile
	Also []ageFile `json:"also,omitempty"`
}

type template struct {
	Metadata *struct {
		Labels      map[string]string `json:"labels,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	} `json:"metadata,omitempty"`
}

// files gives the age files of an envelope in the order in which they are tried.
func (e *envelope) files() []ageFile {
	if e == nil {
		return nil
	}
	return append([]ageFile{e.ageFile}, e.Also...)
}

func (s *spec) secretType() string {
	if s.Type == nil {
		return typeOpaque
	}
	return *s.Type
}

// effectiveScope is the scope that binds an item: its own, else the document's.
func (s *spec) effectiveScope(i *item) []string {
	if i.Scope != nil {
		return i.Scope
	}
	return s.Scope
}

// candidates gives the age files that may hold the key of an item, in the order in which they are tried.
func (s *spec) candidates(i *item, kid string) []ageFile {
	return append(i.Envelope.files(), s.Envelopes["k"+kid].files()...)
}

func (d *document) metadata() metadata {
	var m metadata
	_ = json.Unmarshal(d.Metadata, &m) // Metadata that is not ours to judge names nothing.
	return m
}

// readStream gives the SealedSecrets of a stream of YAML or JSON documents. Documents of other API groups are none of
// its business; a stream that holds none of ours is refused.
func readStream(stream []byte) ([]*document, error) {
	var documents []*document
	for _, text := range splitStream(string(stream)) {
		found, err := readDocument([]byte(text))
		if err != nil {
			return nil, err
		}
		documents = append(documents, found...)
	}
	if len(documents) == 0 {
		return nil, refuseShape("", "no SealedSecret")
	}
	return documents, nil
}

// splitStream cuts a stream at the lines that begin with three hyphens, as Kubernetes' own reader does.
func splitStream(stream string) []string {
	var documents []string
	var current strings.Builder
	for line := range strings.Lines(strings.TrimPrefix(stream, "\ufeff")) {
		if rest, marker := strings.CutPrefix(line, "---"); marker && strings.TrimSpace(rest) == "" {
			documents = append(documents, current.String())
			current.Reset()
			continue
		}
		current.WriteString(line)
	}
	return append(documents, current.String())
}

// readDocument reads one document strictly: no duplicate and no unknown field. A List gives its items.
func readDocument(text []byte) ([]*document, error) {
	asJSON, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, refuseShape("", err.Error())
	}
	var head struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Items      []json.RawMessage `json:"items"`
	}
	if err := kubejson.UnmarshalCaseSensitivePreserveInts(asJSON, &head); err != nil {
		return nil, refuseShape("", err.Error())
	}
	if head.APIVersion == "v1" && head.Kind == "List" {
		var documents []*document
		for _, raw := range head.Items {
			found, err := readDocument(raw)
			if err != nil {
				return nil, err
			}
			documents = append(documents, found...)
		}
		return documents, nil
	}
	if !strings.HasPrefix(head.APIVersion, apiGroup) {
		return nil, nil
	}
	if head.APIVersion != apiVersion || head.Kind != kind {
		return nil, refuseShape("", "another kind or version of the group")
	}
	var d document
	strictErrors, err := kubejson.UnmarshalStrict(asJSON, &d)
	if err := errors.Join(append(strictErrors, err)...); err != nil {
		return nil, refuseShape("", err.Error())
	}
	return []*document{&d}, nil
}

// checkShape is the first step of opening: syntax and caps of everything, before any key is touched.
//
// What format.md leaves open is read strictly: a document without values is one of a type that the cluster fills; a
// value whose envelope is nowhere in the document is a fault of shape, for anybody can see it.
func (d *document) checkShape(source bool) *refusal {
	s := d.Spec
	if s == nil {
		return refuseShape("", "no spec")
	}
	if s.Scope == nil && !source || s.Scope != nil && !validScope(s.Scope) {
		return refuseShape("", "spec.scope is no scope")
	}
	if t := s.secretType(); len(t) > maxName || !typeName.MatchString(t) {
		return refuseShape("", "spec.type is no type")
	}
	if len(s.EncryptedData) > maxItems {
		return refuseShape("", "too many items")
	}
	if len(s.EncryptedData) == 0 && s.secretType() != typeServiceAccountToken {
		return refuseShape("", "no items")
	}
	files := 0
	for _, key := range sortedKeys(s.Envelopes) {
		e := s.Envelopes[key]
		if e == nil || !envelopeKey.MatchString(key) {
			return refuseShape("", "spec.envelopes has an entry that is none")
		}
		if err := e.checkShape(); err != nil {
			return refuseShape("", err.Error())
		}
		files += len(e.files())
	}
	for _, key := range sortedKeys(s.EncryptedData) {
		if err := s.checkItem(key); err != nil {
			return refuseShape(key, err.Error())
		}
		files += len(s.EncryptedData[key].Envelope.files())
	}
	if files > maxEnvelopes {
		return refuseShape("", "too many envelopes")
	}
	return nil
}

func (s *spec) checkItem(key string) error {
	i := s.EncryptedData[key]
	if !validKey(key) {
		return errors.New("no data key of Kubernetes")
	}
	if i == nil {
		return errors.New("no item")
	}
	if i.Scope != nil && !validScope(i.Scope) {
		return errors.New("the item's scope is no scope")
	}
	if s.effectiveScope(i) == nil {
		return errors.New("no scope, neither the item's nor the document's")
	}
	if i.Envelope != nil {
		if err := i.Envelope.checkShape(); err != nil {
			return err
		}
	}
	kid, _, ok := parseValue(i.Value)
	if !ok {
		return errors.New("no text of a value")
	}
	if len(s.candidates(i, kid)) == 0 {
		return errors.New("no envelope for k" + kid)
	}
	return nil
}

func validKey(key string) bool {
	return len(key) <= maxName && dataKey.MatchString(key) && key != "." && !strings.HasPrefix(key, "..")
}

func (e *envelope) checkShape() error {
	for _, file := range e.files() {
		notAnID := func(id string) bool { return !recipientID.MatchString(id) }
		if len(file.Recipients) == 0 || slices.ContainsFunc(file.Recipients, notAnID) {
			return errors.New("the recipients are no recipient ids")
		}
		if err := checkCaps(file.Age); err != nil {
			return err
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// text writes a document. The order of fields is the alphabet's; a multi-line text is a block.
func (d *document) text() ([]byte, error) {
	out, err := yaml.Marshal(d)
	return bytes.TrimLeft(out, "\n"), err
}
