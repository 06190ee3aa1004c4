//! Who a document is sealed for: recipients by name, checked as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::format::MAX_RECIPIENTS;
use crate::recipient::{Recipient, RecipientId};

use super::date::Date;
use super::error::{OddRecipient, PolicyError};
use super::pubfile::{RecipientsFile, recipients_path};
use super::rules::{NameRef, Rule};
use super::typo;

/// For how many missing files a name that is near is looked for: more are no typing errors.
const MAX_GUESSES: usize = 20;

/// All recipients files of a repository.
#[derive(Clone, Debug, Default)]
pub struct Recipients {
    files: BTreeMap<String, RecipientsFile>,
}

/// What a recipient is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The day until which it may still be found, if it is superseded under that name.
    pub superseded: Option<Date>,
}

impl Recipients {
    /// All of these files, by their names.
    pub fn new(files: impl IntoIterator<Item = RecipientsFile>) -> Self {
        Self { files: files.into_iter().map(|file| (file.name().to_owned(), file)).collect() }
    }

    /// The file of a name.
    pub fn get(&self, name: &str) -> Option<&RecipientsFile> {
        self.files.get(name)
    }

    /// The files in the order of their names.
    pub fn files(&self) -> impl Iterator<Item = &RecipientsFile> {
        self.files.values()
    }

    /// What a recipient of this id is called: once for every file that has it, in the order of the names.
    pub fn describe(&self, id: RecipientId) -> Vec<Named> {
        let named = |file: &RecipientsFile| {
            file.find(id).map(|entry| Named { name: file.name().to_owned(), superseded: entry.superseded })
        };
        self.files().filter_map(named).collect()
    }

    /// The recipients of a rule.
    ///
    /// # Errors
    /// Every name that has no file or no current recipient, then what [`RecipientSet::new`] refuses.
    pub fn of_rule(&self, rule: &Rule) -> Result<RecipientSet, Vec<PolicyError>> {
        self.of_names(rule.recipients.iter().map(|NameRef { name, at }| (name.as_str(), Some(*at))))
    }

    /// The recipients of some names, in that order.
    ///
    /// # Errors
    /// As [`Recipients::of_rule`].
    pub fn of_names<'a>(
        &self,
        names: impl IntoIterator<Item = (&'a str, Option<crate::problem::Location>)>,
    ) -> Result<RecipientSet, Vec<PolicyError>> {
        let mut members = vec![];
        let mut superseded = vec![];
        let mut errors = vec![];
        for (name, at) in names {
            let Some(file) = self.get(name) else {
                let files = self.files.keys().map(String::as_str).filter(|_| errors.len() < MAX_GUESSES);
                let near = typo::nearest(name, files).map(str::to_owned);
                errors.push(PolicyError::NoFile { name: name.to_owned(), at, near });
                continue;
            };
            if file.current().next().is_none() {
                errors.push(PolicyError::NoCurrent { name: name.to_owned(), superseded: file.entries().len() });
            }
            for entry in file.entries() {
                match entry.superseded {
                    None => members.push(Member {
                        recipient: Arc::clone(&entry.recipient),
                        names: vec![name.to_owned()],
                        origin: Some((recipients_path(name), entry.line)),
                    }),
                    Some(until) => superseded.push(Stale { id: entry.recipient.id(), name: name.to_owned(), until }),
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut set = RecipientSet::new(members)?;
        set.superseded = superseded;
        Ok(set)
    }
}

/// One recipient that values are sealed for.
#[derive(Clone, Debug)]
pub struct Member {
    /// The recipient.
    pub recipient: Arc<Recipient>,
    /// The names it goes by; none if it was given on the command line.
    pub names: Vec<String>,
    /// The file and line it is from, if it is from a file.
    pub origin: Option<(String, usize)>,
}

impl Member {
    /// A recipient without a name.
    pub fn unnamed(recipient: Recipient) -> Self {
        Self { recipient: Arc::new(recipient), names: vec![], origin: None }
    }
}

/// A superseded recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Its id.
    pub id: RecipientId,
    /// The name under which it is superseded.
    pub name: String,
    /// The day until which it may still be found.
    pub until: Date,
}

impl Stale {
    /// Whether that day is over at `now`, in seconds since 1970-01-01 UTC.
    pub fn is_overdue(&self, now: i64) -> bool {
        self.until.is_over(now)
    }
}

/// The recipients of one document.
///
/// Guarantees: 1 to 32 recipients, none twice, all post-quantum or all classic.
#[derive(Clone, Debug)]
pub struct RecipientSet {
    members: Vec<Member>,
    superseded: Vec<Stale>,
}

/// How the recipients that a document claims differ from the ones it should have.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Recipients that are missing.
    pub missing: Vec<Member>,
    /// Claimed recipients that are superseded under a name of the set.
    pub superseded: Vec<Stale>,
    /// Claimed recipients that are not of the set at all.
    pub unknown: Vec<RecipientId>,
}

impl Comparison {
    /// Whether the document is sealed for exactly the set.
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.superseded.is_empty() && self.unknown.is_empty()
    }
}

impl RecipientSet {
    /// The set of these recipients; one that is there several times becomes one with all its names.
    ///
    /// # Errors
    /// [`PolicyError::Empty`], [`PolicyError::TooMany`], [`PolicyError::Mixed`].
    pub fn new(members: impl IntoIterator<Item = Member>) -> Result<Self, Vec<PolicyError>> {
        let mut merged: Vec<Member> = vec![];
        for member in members {
            match merged.iter_mut().find(|other| other.recipient == member.recipient) {
                Some(other) => {
                    for name in member.names {
                        if !other.names.contains(&name) {
                            other.names.push(name);
                        }
                    }
                }
                None => merged.push(member),
            }
        }
        let mut errors = vec![];
        match merged.len() {
            0 => errors.push(PolicyError::Empty),
            count if count > MAX_RECIPIENTS => errors.push(PolicyError::TooMany { count }),
            _ => {}
        }
        errors.extend(mixed(&merged));
        if errors.is_empty() { Ok(Self { members: merged, superseded: vec![] }) } else { Err(errors) }
    }

    /// The recipients with their names, in the order of the rule's names and the files' lines.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The recipients.
    pub fn recipients(&self) -> impl ExactSizeIterator<Item = &Recipient> {
        self.members.iter().map(|member| &*member.recipient)
    }

    /// Their ids.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = RecipientId> {
        self.recipients().map(Recipient::id)
    }

    /// The names they go by, each once, in order; the id of a recipient without one.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for member in &self.members {
            let own =
                if member.names.is_empty() { vec![member.recipient.id().to_string()] } else { member.names.clone() };
            for name in own {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// Whether they are post-quantum, all of them.
    pub fn is_post_quantum(&self) -> bool {
        self.recipients().all(Recipient::is_post_quantum)
    }

    /// The superseded recipients of the set's names.
    pub fn superseded(&self) -> &[Stale] {
        &self.superseded
    }

    /// Compares with the ids that a document claims.
    pub fn compare(&self, claimed: &[RecipientId]) -> Comparison {
        let mut comparison = Comparison {
            missing: self.members.iter().filter(|member| !claimed.contains(&member.recipient.id())).cloned().collect(),
            ..Comparison::default()
        };
        for &id in claimed {
            if self.ids().any(|own| own == id) {
                continue;
            }
            let stale: Vec<Stale> = self.superseded.iter().filter(|stale| stale.id == id).cloned().collect();
            if stale.is_empty() {
                comparison.unknown.push(id);
            }
            comparison.superseded.extend(stale);
        }
        comparison
    }
}

fn mixed(members: &[Member]) -> Option<PolicyError> {
    let (hybrid, classic): (Vec<_>, Vec<_>) = members.iter().partition(|member| member.recipient.is_post_quantum());
    if hybrid.is_empty() || classic.is_empty() {
        return None;
    }
    // Post-quantum is the default, so it is the classic ones that are odd when both are as many.
    let odd = if hybrid.len() < classic.len() { hybrid } else { classic };
    let odd = odd.into_iter().map(|member| OddRecipient {
        names: member.names.clone(),
        origin: member.origin.clone(),
        id: member.recipient.id(),
        kind: member.recipient.kind(),
    });
    Some(PolicyError::Mixed { odd: odd.collect() })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{classic, hybrid, native};
    use super::super::{Policy, is_name};
    use super::*;

    fn file(name: &str, text: &str) -> RecipientsFile {
        assert!(is_name(name));
        RecipientsFile::parse(name, text.as_bytes(), &native).unwrap()
    }

    fn rule(names: &str) -> Rule {
        let text = format!(
            "apiVersion: ageseal.dev/v1alpha1\nkind: Policy\nrules:\n- {{paths: ['**'], recipients: [{names}], scopes: ['*/*']}}\n"
        );
        Policy::parse(text.into_bytes()).unwrap().rules()[0].clone()
    }

    fn id(text: &str) -> RecipientId {
        text.parse::<Recipient>().unwrap().id()
    }

    #[test]
    fn a_rule_gives_its_current_recipients_in_order() {
        let (one, two, three) = (classic(1), classic(2), classic(3));
        let all = Recipients::new([
            file("prod", &format!("{two}\n# superseded, until 2026-11-18\n{one}\n")),
            file("recovery", &three),
            file("other", &classic(4)),
        ]);
        let set = all.of_rule(&rule("recovery, prod")).unwrap();
        assert_eq!(set.ids().collect::<Vec<_>>(), [id(&three), id(&two)]);
        assert_eq!(set.names(), ["recovery", "prod"]);
        assert_eq!(set.superseded().len(), 1);
        assert!(!set.is_post_quantum());
    }

    #[test]
    fn one_recipient_under_two_names_is_one_reader() {
        let (one, two) = (classic(1), classic(2));
        let all = Recipients::new([file("a", &format!("{one}\n{two}\n")), file("b", &one.to_ascii_uppercase())]);
        let set = all.of_rule(&rule("a, b")).unwrap();
        assert_eq!(set.members().len(), 2);
        assert_eq!(set.members()[0].names, ["a", "b"]);
        assert_eq!(set.names(), ["a", "b"]);
    }

    #[test]
    fn every_name_without_a_reader_is_named() {
        let all = Recipients::new([
            file("prod", &classic(1)),
            file("empty", "# nobody\n"),
            file("old", &format!("# superseded, until 2026-11-18\n{}\n", classic(2))),
        ]);
        let errors = all.of_rule(&rule("prdo, empty, old")).unwrap_err();
        let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "the policy names prdo, and there is no .ageseal/recipients/prdo.pub",
                "empty has no recipient",
                "old has no current recipient"
            ]
        );
        assert_eq!(errors[0].hint(), "did you mean prod?");
        assert_eq!(errors[0].place().1.map(|at| at.line), Some(4));
        assert_eq!(errors[1].place().0, ".ageseal/recipients/empty.pub");
        assert_eq!(all.of_names([]).unwrap_err(), [PolicyError::Empty]);
    }

    #[test]
    fn the_odd_one_is_named_with_its_file_and_line() {
        let all = Recipients::new([
            file("prod", &format!("{}\n{}\n", hybrid(), hybrid())),
            file("laptop", &format!("# old\n{}\n", classic(1))),
        ]);
        let errors = all.of_rule(&rule("prod, laptop")).unwrap_err();
        assert_eq!(
            errors[0].to_string(),
            "post-quantum and classic recipients cannot stand together; the odd one is: \
             laptop (classic (age1), .ageseal/recipients/laptop.pub:2)"
        );
        assert_eq!(errors[0].place().1.map(|at| at.line), Some(2));
        let all = Recipients::new([
            file("prod", &hybrid()),
            file("laptop", &format!("{}\n{}\n", classic(1), classic(2))),
            file("one", &classic(3)),
        ]);
        let errors = all.of_rule(&rule("laptop, prod")).unwrap_err();
        assert!(errors[0].to_string().ends_with("is: prod (post-quantum (age1pq), .ageseal/recipients/prod.pub:1)"));
        let errors = all.of_rule(&rule("prod, one")).unwrap_err();
        assert!(errors[0].to_string().ends_with("is: one (classic (age1), .ageseal/recipients/one.pub:1)"), "a tie");
        assert!(all.of_rule(&rule("prod")).unwrap().is_post_quantum());
    }

    #[test]
    fn thirty_two_recipients_are_the_most() {
        let text = |count: u8| (1..=count).map(|number| classic(number) + "\n").collect::<String>();
        assert!(Recipients::new([file("a", &text(32))]).of_rule(&rule("a")).is_ok());
        let errors = Recipients::new([file("a", &text(33))]).of_rule(&rule("a")).unwrap_err();
        assert_eq!(errors, [PolicyError::TooMany { count: 33 }]);
    }

    #[test]
    fn claims_are_told_by_name() {
        let (one, two) = (classic(1), classic(2));
        let all = Recipients::new([
            file("b", &format!("# superseded, until 2026-11-18\n{one}\n")),
            file("a", &format!("{one}\n{two}\n")),
        ]);
        let until = "2026-11-18".parse().ok();
        assert_eq!(
            all.describe(id(&one)),
            [Named { name: "a".into(), superseded: None }, Named { name: "b".into(), superseded: until }]
        );
        assert!(all.describe(id(&classic(9))).is_empty());
    }

    #[test]
    fn comparing_tells_missing_superseded_and_unknown_apart() {
        let (one, two, old) = (classic(1), classic(2), classic(3));
        let all = Recipients::new([file("a", &format!("{one}\n{two}\n# superseded, until 1970-01-01\n{old}\n"))]);
        let set = all.of_rule(&rule("a")).unwrap();
        assert!(set.compare(&[id(&two), id(&one)]).is_exact());
        let unknown = id(&classic(9));
        let comparison = set.compare(&[id(&one), id(&old), unknown]);
        assert!(!comparison.is_exact());
        assert_eq!(comparison.missing.iter().map(|member| member.recipient.id()).collect::<Vec<_>>(), [id(&two)]);
        assert_eq!(comparison.unknown, [unknown]);
        let [stale] = comparison.superseded.as_slice() else { panic!("{comparison:?}") };
        assert_eq!((stale.id, stale.name.as_str()), (id(&old), "a"));
        assert!(!stale.is_overdue(86_399));
        assert!(stale.is_overdue(86_400));
    }
}
