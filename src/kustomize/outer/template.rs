//! The templates of an ApplicationSet: plain look-ups, of either kind, and nothing else.
//!
//! Source: `argoproj/argo-cd`, `applicationset/utils/utils.go` (`Render.Replace`). Without `goTemplate`, `{{key}}` is looked up in a flat
//! list of texts, and one that is not there stays as it is; with it, the text is a template of Go. What is not there is refused
//! here, for what Argo CD makes of it depends on its options.

use std::collections::BTreeMap;

/// The parameters of one Application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters(pub(super) BTreeMap<String, String>);

/// How templates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `{{path.basename}}`.
    Flat,
    /// `{{ .path.basename }}`.
    Go,
}

impl Parameters {
    pub(super) fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// A text with every look-up filled in; the look-up that is not understood, or has no value.
    pub(super) fn fill(&self, style: Style, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            filled.push_str(&rest[..at]);
            let inner = &rest[at + 2..];
            let end = inner.find("}}").ok_or_else(|| shown(inner))?;
            let expression = &inner[..end];
            let key = match style {
                Style::Flat => Some(expression.trim().to_owned()),
                Style::Go => go_key(expression.trim()),
            };
            let value = key.and_then(|key| self.0.get(&key));
            filled.push_str(value.ok_or_else(|| shown(expression))?);
            rest = &inner[end + 2..];
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

fn shown(expression: &str) -> String {
    let text: String = expression.chars().filter(|c| !c.is_control()).take(60).collect();
    format!("{{{{{text}}}}}")
}

/// The key that `.a.b` or `index .a.b 1` looks up, as [`Parameters`] have it: `a.b`, `a.b[1]`.
fn go_key(expression: &str) -> Option<String> {
    let field = |text: &str| {
        let path = text.strip_prefix('.')?;
        let is_name = |part: &str| {
            let mut letters = part.chars();
            letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        path.split('.').all(is_name).then(|| path.to_owned())
    };
    match expression.split_whitespace().collect::<Vec<_>>().as_slice() {
        [path] => field(path),
        ["index", list, index] => {
            let index: usize = index.parse().ok()?;
            Some(format!("{}[{index}]", field(list)?))
        }
        _ => None,
    }
}

/// A name as Argo CD makes one of any text: `SanitizeName`.
pub(super) fn normalized(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let lower = name.to_lowercase();
    let text: String = lower.chars().map(|c| if allowed(c) { c } else { '-' }).take(253).collect();
    text.trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(style: Style, text: &str) -> Result<String, String> {
        let mut parameters = Parameters::default();
        for (key, value) in [("path", "apps/prod"), ("path.basename", "prod"), ("path[0]", "apps"), ("env-name", "x")] {
            parameters.set(key, value);
        }
        parameters.set("path.path", "apps/prod");
        parameters.set("path.segments[1]", "prod");
        parameters.fill(style, text)
    }

    #[test]
    fn plain_look_ups_are_filled_in() {
        for (style, text, filled) in [
            (Style::Flat, "no template", "no template"),
            (Style::Flat, "{{path}}-{{ path.basename }}", "apps/prod-prod"),
            (Style::Flat, "{{path[0]}} {{env-name}}", "apps x"),
            (Style::Go, "{{.path.path}}", "apps/prod"),
            (Style::Go, "a-{{ .path.basename }}-b", "a-prod-b"),
            (Style::Go, "{{index .path.segments 1}}", "prod"),
        ] {
            assert_eq!(fill(style, text).as_deref(), Ok(filled), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_it_is() {
        for (style, text, refused) in [
            (Style::Flat, "{{none}}", "{{none}}"),
            (Style::Flat, "{{.path.path}}", "{{.path.path}}"),
            (Style::Flat, "{{path", "{{path}}"),
            (Style::Go, "{{path}}", "{{path}}"),
            (Style::Go, "{{ .path.basename | upper }}", "{{ .path.basename | upper }}"),
            (Style::Go, "{{- .path.path }}", "{{- .path.path }}"),
            (Style::Go, "{{ if .x }}a{{ end }}", "{{ if .x }}"),
            (Style::Go, "{{ .gone }}", "{{ .gone }}"),
            (Style::Go, "{{index .path.segments 9}}", "{{index .path.segments 9}}"),
            (Style::Go, "{{.env-name}}", "{{.env-name}}"),
        ] {
            assert_eq!(fill(style, text), Err(refused.to_owned()), "{text}");
        }
    }

    #[test]
    fn names_are_made_of_any_text() {
        for (text, name) in [("Prod_EU", "prod-eu"), ("-a.", "a"), ("ä/b", "-b".trim_matches('-')), ("a.b", "a.b")] {
            assert_eq!(normalized(text), name, "{text}");
        }
    }
}
