//! Generators whose values stand in the kustomization itself, for everybody who can read it.

use super::kustomize::{field, follow};
use super::{Code, Context, File, FileReport, Finding, Numbers, shown_name};
use crate::kustomize::LOCAL;
use crate::shadow::REVISION;
use crate::yaml::{Node, Stream};

/// Whether a kustomization can have a generator of Secrets.
pub(super) fn may_generate(bytes: &[u8]) -> bool {
    bytes.windows(15).any(|word| word.eq_ignore_ascii_case(b"secretgenerator"))
}

/// Tells of literals. A generator that only lends its hash and its name to a sealed document is dropped from the build, and
/// has no value in it.
pub(super) fn literals(file: File<'_>, stream: &Stream, context: &Context<'_>, report: &mut FileReport) {
    let roots = stream.documents().filter_map(|document| document.root());
    let lists = roots.filter_map(|root| inner(root, "secretGenerator"));
    for generator in lists.flat_map(|list| list.items()).map(follow) {
        let Some((literals, _)) = field(generator, "literals") else { continue };
        let annotations = inner(generator, "options").and_then(|options| inner(options, "annotations"));
        let local = annotations.and_then(|annotations| annotations.get(LOCAL)).and_then(|value| value.str());
        if local == Some("true") {
            report.numbers.extend(numbers(generator));
            continue;
        }
        if file.path.zip(context.policy).is_some_and(|(path, policy)| policy.allowed(path).is_some()) {
            report.allowed += 1;
            continue;
        }
        let name = inner(generator, "name").and_then(|name| name.str()).map_or("a generator", shown_name);
        let hint = "seal the values and take the generator out; then change them: git history keeps them";
        let line = format!("{name}: literals <redacted>");
        report.say(Finding::new(Code::PlaintextGenerator, Some(literals.location()), line).hint(hint));
    }
}

/// The numbers of an entry that merges into a shadow.
fn numbers(generator: Node<'_>) -> Option<Numbers> {
    let text = |name: &str| inner(generator, name).and_then(|node| node.str());
    let name = text("name").filter(|_| text("behavior") == Some("merge"))?;
    let literals = inner(generator, "literals")?.items().map(follow);
    let keys = literals.filter_map(|literal| Some(literal.str()?.split_once('=')?.0));
    let keys: Vec<String> = keys.filter(|key| *key != REVISION).map(|key| shown_name(key).to_owned()).collect();
    (!keys.is_empty()).then(|| Numbers { name: shown_name(name).to_owned(), keys, at: generator.location() })
}

fn inner<'a>(node: Node<'a>, name: &str) -> Option<Node<'a>> {
    field(node, name).map(|(_, value)| follow(value))
}
