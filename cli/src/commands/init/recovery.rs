//! The recovery recipient: the one that opens everything should all else be lost.

use std::fs;
use std::path::{Path, PathBuf};

use age::scrypt;
use age::secrecy::SecretString;
use ageseal::policy::{Recipients, RecipientsFile, recipients_path};
use ageseal::problem::Problem;
use ageseal::recipient::Identity;
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::{Args, Start};
use crate::clock;
use crate::commands::recipients::given::{self, Given, collected};
use crate::error::{CliError, Errors, Place};
use crate::files::{self, Before, Want, is_stdin};
use crate::keys::{config_folder, shown_from_home};
use crate::prompt;
use crate::repository::{from_here, recipient_parser};
use crate::ui::Ui;

/// The name of its recipients file.
pub const RECOVERY: &str = "recovery";

/// The three ways to say what the recovery recipient is.
const WAYS: [&str; 3] = [
    "--recovery RECIPIENT: the public half of a key that you keep offline",
    "--recovery-file FILE: make one now, under a passphrase, outside the repository (asks on a terminal)",
    "--no-recovery: do without; whoever loses the cluster's key then loses the values",
];

const HEAD: &str = "# The offline key that opens everything, should all else be lost.";

/// What is decided about the recovery recipient.
pub enum Recovery {
    /// Rules do not name one.
    None,
    /// The file that is there stays as it is.
    Kept,
    /// A file to write.
    New(NewRecovery),
}

/// A recipients file to write, and the identity that goes with it.
pub struct NewRecovery {
    /// What is at its place now.
    pub before: Before,
    /// Its text.
    pub text: String,
    /// How many recipients are in it.
    pub count: usize,
    /// An identity that was made for it: where it goes, and its encrypted file.
    pub identity: Option<(PathBuf, String)>,
}

impl Recovery {
    /// Whether the rules of a new policy name it.
    pub fn is_named(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// Decides from what was typed and from what is there; asks on a terminal if neither says it, unless `may_ask` forbids
/// it because the run has ended anyway.
///
/// # Errors
/// What was typed contradicts what is there, or is not a recipient; nothing says it and there is no terminal.
pub fn decide(ui: &Ui, args: &Args, start: &Start, may_ask: bool) -> Result<Recovery, Errors> {
    let path = start.top.join(recipients_path(RECOVERY));
    let old = existing(&path)?;
    let file = match &old {
        Some(bytes) => parsed(ui, &path, bytes)?,
        None => parsed(ui, &path, b"")?,
    };
    let typed = typed(ui, args)?;
    let is_there = |given: &Given| file.find(given.recipient.id()).is_some_and(|entry| entry.superseded.is_none());
    if !file.entries().is_empty() {
        return match () {
            () if args.no_recovery => {
                Err(contradiction("there is a recovery recipient, and --no-recovery says none", &path)
                    .hint("remove the file, and the name from the rules of the policy")
                    .into())
            }
            () if args.recovery_file.is_some() || !typed.iter().all(is_there) => {
                Err(contradiction("there is a recovery recipient already, and this is another", &path)
                    .hint(format!("ageseal recipients add {RECOVERY} RECIPIENT adds one; ageseal keygen makes one"))
                    .into())
            }
            () => Ok(Recovery::Kept),
        };
    }
    let named = start
        .repository
        .as_ref()
        .map(|repository| repository.policy().rules().iter().any(|rule| rule.names().any(|name| name == RECOVERY)));
    let given = !typed.is_empty() || args.recovery_file.is_some();
    match named {
        Some(true) if args.no_recovery => {
            Err(policy_contradiction(start, "the policy names recovery, and --no-recovery says none")
                .hint("take the name out of its rules")
                .into())
        }
        Some(false) if given => {
            Err(policy_contradiction(start, "the repository has a policy already, and no rule of it names recovery")
                .hint("add the name to the recipients of its rules, and run the same command again")
                .into())
        }
        Some(_) if !given => Ok(Recovery::None),
        None if args.no_recovery => Ok(Recovery::None),
        _ if !may_ask && typed.is_empty() && (given || prompt::possible(ui)) => Ok(Recovery::None),
        _ => {
            let before = old.map_or(Before::Absent, Before::Holds);
            new(ui, args, start, typed, before).map(Recovery::New)
        }
    }
}

/// The bytes of the file, if it is there.
fn existing(path: &Path) -> Result<Option<Vec<u8>>, CliError> {
    match fs::symlink_metadata(path) {
        Err(_) => Ok(None),
        Ok(meta) if meta.is_symlink() => {
            Err(CliError::input("this is a symbolic link: what it leads to can be changed where nobody guards it")
                .path(&from_here(path))
                .hint("put the file itself there"))
        }
        Ok(_) => files::read(&from_here(path), Want::KEYS).map(Some),
    }
}

fn parsed(ui: &Ui, path: &Path, bytes: &[u8]) -> Result<RecipientsFile, Errors> {
    RecipientsFile::parse(RECOVERY, bytes, &recipient_parser(ui)).map_err(|problems| at(&from_here(path), &problems))
}

fn at(path: &Path, problems: &[Problem]) -> Errors {
    collected(problems.iter().map(|problem| CliError::problem(path, problem)).collect(), "there is no recipient")
}

fn typed(ui: &Ui, args: &Args) -> Result<Vec<Given>, Errors> {
    let mut found = vec![];
    let mut errors = vec![];
    for text in &args.recovery {
        match given::typed(ui, text, "--recovery", &format!("this is a file: --recovery \"$(cat {text})\"")) {
            Ok(given) => found.extend(given),
            Err(several) => errors.extend(several),
        }
    }
    Errors::none_or(errors)?;
    Ok(found)
}

fn new(ui: &Ui, args: &Args, start: &Start, typed: Vec<Given>, before: Before) -> Result<NewRecovery, Errors> {
    if !typed.is_empty() {
        let (text, count) = file_of(ui, &typed, &before)?;
        return Ok(NewRecovery { before, text, count, identity: None });
    }
    let path = match &args.recovery_file {
        Some(path) => path.clone(),
        None => ask_for_path(ui)?,
    };
    check_place(&path, &start.top)?;
    let question = format!("passphrase for {}", shown_from_home(&path));
    let passphrase = prompt::new_passphrase(ui, &question, &WAYS.join("; "))?;
    let identity = Identity::generate_hybrid(&mut OsRng);
    let (Some(recipient), Some(secret)) = (identity.recipient(), identity.to_secret_string()) else {
        return Err(CliError::input("this kind of identity cannot be written to a file").into());
    };
    let today = clock::rfc3339(clock::now());
    let plain = Zeroizing::new(format!("# created: {today}\n# public key: {recipient}\n{}\n", *secret));
    let encrypted = encrypted(&plain, scrypt::Recipient::new(SecretString::from(passphrase.to_string())))?;
    // The text is the core's own; it parses again.
    let made = given::typed(ui, recipient.canonical(), "--recovery-file", "")?;
    let made: Vec<_> = made
        .into_iter()
        .map(|given| Given { comment: today.get(..10).map(|day| format!("made by ageseal init, {day}")), ..given })
        .collect();
    let (text, count) = file_of(ui, &made, &before)?;
    Ok(NewRecovery { before, text, count, identity: Some((path, encrypted)) })
}

fn ask_for_path(ui: &Ui) -> Result<PathBuf, CliError> {
    let refused = |fact: &str| WAYS.iter().fold(CliError::usage(fact), |error, way| error.hint(*way));
    if !prompt::possible(ui) {
        return Err(refused("nothing says what opens the values should the cluster's key be lost"));
    }
    let question = "file for a new recovery identity, outside the repository: ";
    match prompt::line(ui, question, "")? {
        path if path.is_empty() => Err(refused("no file was named")),
        // There is no shell between the prompt and this program.
        path => match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
            (Some(rest), Some(home)) => Ok(Path::new(&home).join(rest)),
            _ => Ok(PathBuf::from(path)),
        },
    }
}

/// The text of the recipients file with these recipients, and their number.
fn file_of(ui: &Ui, recipients: &[Given], before: &Before) -> Result<(String, usize), Errors> {
    let parse = recipient_parser(ui);
    let mut text = match before {
        Before::Holds(bytes) if !bytes.trim_ascii().is_empty() => bytes.clone(),
        _ => format!("{HEAD}\n\n").into_bytes(),
    };
    let mut count = 0;
    let mut seen = vec![];
    for given in recipients {
        if seen.contains(&given.recipient.id()) {
            continue;
        }
        seen.push(given.recipient.id());
        text = RecipientsFile::add(RECOVERY, &text, &given.recipient, given.comment.as_deref(), &parse)
            .map_err(|problems| at(Path::new(&recipients_path(RECOVERY)), &problems))?
            .into_bytes();
        count += 1;
    }
    let file = parsed(ui, Path::new(&recipients_path(RECOVERY)), &text)?;
    Recipients::new([file]).of_names([(RECOVERY, None)]).map_err(|errors| {
        let told = errors.iter().map(|error| CliError::usage(error.to_string()).hint(error.hint()));
        collected(told.collect(), "there is no recipient")
    })?;
    String::from_utf8(text)
        .map(|text| (text, count))
        .map_err(|_| CliError::input("the file is not UTF-8").path(Path::new(&recipients_path(RECOVERY))).into())
}

/// Refuses a place where the identity would be found by itself, committed, or put over something else.
fn check_place(path: &Path, top: &Path) -> Result<(), CliError> {
    if is_stdin(path) {
        return Err(CliError::usage("the recovery identity goes to a file, and - is none").hint(WAYS[1]));
    }
    if fs::symlink_metadata(path).is_ok() {
        return Err(CliError::input("this exists already; it is as it was").path(path).hint("name another file"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = fs::canonicalize(folder).map_err(|error| CliError::io("the folder cannot be used", folder, &error))?;
    if folder.starts_with(top) {
        return Err(CliError::usage("this is inside the repository, and a private key does not belong there")
            .path(path)
            .hint("name a file elsewhere, best on a medium that you take out"));
    }
    let searched = config_folder().and_then(|config| fs::canonicalize(config.join("identities")).ok());
    let listed = std::env::var_os("AGESEAL_IDENTITY_FILE");
    let listed = listed.iter().flat_map(std::env::split_paths).any(|listed| {
        let parent = listed.parent().and_then(|parent| fs::canonicalize(parent).ok());
        listed == path || (parent.as_ref() == Some(&folder) && listed.file_name() == path.file_name())
    });
    if listed || searched.is_some_and(|searched| folder.starts_with(searched)) {
        return Err(CliError::usage("identities are searched for here, and this one is not for every day")
            .path(path)
            .hint("name a file elsewhere, best on a medium that you take out"));
    }
    Ok(())
}

/// An age file, armored, that the passphrase opens: what `age -p -a` writes.
fn encrypted(plain: &str, passphrase: scrypt::Recipient) -> Result<String, CliError> {
    age::encrypt_and_armor(&passphrase, plain.as_bytes())
        .map_err(|error| CliError::input("the identity could not be encrypted").caused_by(&error))
}

fn contradiction(fact: &str, path: &Path) -> CliError {
    CliError::usage(fact).path(&from_here(path))
}

fn policy_contradiction(start: &Start, fact: &str) -> CliError {
    CliError::usage(fact).place(Place { path: start.shown(ageseal::policy::POLICY_PATH), at: None, detail: None })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_passphrase_opens_what_was_written_and_no_other_does() {
        let identity = Identity::generate_hybrid(&mut OsRng);
        let secret = identity.to_secret_string().unwrap();
        let mut recipient = scrypt::Recipient::new(SecretString::from("correct horse".to_owned()));
        recipient.set_work_factor(2);
        let file = encrypted(&secret, recipient).unwrap();
        assert!(file.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n") && file.ends_with("-----\n"), "{file}");
        assert!(!file.contains("SECRET"));
        let open = |passphrase: &str| {
            let key = scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
            let decryptor = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(file.as_bytes())).unwrap();
            assert!(decryptor.is_scrypt());
            let mut text = String::new();
            decryptor.decrypt(std::iter::once(&key as _)).ok()?.read_to_string(&mut text).unwrap();
            Some(text)
        };
        assert_eq!(open("correct horse").unwrap(), *secret);
        assert_eq!(open("wrong"), None);
    }

    #[test]
    fn an_identity_for_a_rainy_day_lies_neither_inside_nor_where_keys_are_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(dir.path()).unwrap().join("repo");
        fs::create_dir_all(top.join("sub")).unwrap();
        fs::write(dir.path().join("old"), "x").unwrap();
        for inside in ["repo/a", "repo/sub/a", "repo/../repo/a"] {
            let error = check_place(&dir.path().join(inside), &top).unwrap_err();
            assert!(error.message.starts_with("this is inside the repository"), "{inside}: {error:?}");
        }
        assert!(check_place(&dir.path().join("old"), &top).unwrap_err().message.contains("exists already"));
        assert!(check_place(&dir.path().join("no/such/a"), &top).unwrap_err().message.contains("cannot be used"));
        assert!(check_place(Path::new("-"), &top).unwrap_err().message.contains("- is none"));
        check_place(&dir.path().join("repo2"), &top).unwrap();
    }
}
