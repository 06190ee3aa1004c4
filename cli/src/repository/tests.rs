//! Repositories on a disk: found, read, refused.

use std::os::unix::fs::{PermissionsExt, symlink};

use ageseal::recipient::Identity;
use tempfile::TempDir;

use super::*;
use crate::error::Errors;
use crate::ui::Color;

fn ui() -> Ui {
    Ui::new(true, Color::Never)
}

/// A tree that is thrown away: what its test wrote, below its canonical path.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A git repository with a policy for `a/` (prod) and `b/` (test).
    fn repository() -> Self {
        let tree = Self::new();
        tree.folder(".git");
        tree.write(POLICY_PATH, &policy(&[("a/**", "prod"), ("b/**", "test")]));
        tree.write(".ageseal/recipients/prod.pub", &format!("{}\n", recipient()));
        tree.write(".ageseal/recipients/test.pub", &format!("{}\n", recipient()));
        tree
    }

    fn path(&self, path: &str) -> PathBuf {
        fs::canonicalize(self.0.path()).unwrap().join(path)
    }

    fn folder(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn open(&self) -> Result<Repository, RepositoryError> {
        Repository::open(&ui(), &self.path(""))
    }

    fn locate(&self, path: &str) -> Result<Located, RepositoryError> {
        Repositories::new(&ui()).locate(&self.path(path))
    }
}

fn policy(rules: &[(&str, &str)]) -> String {
    let rule =
        |(path, name): &(&str, &str)| format!("- paths: ['{path}']\n  recipients: [{name}]\n  scopes: ['shop/*']\n");
    let rules: String = rules.iter().map(rule).collect();
    format!("apiVersion: ageseal.dev/v1alpha1\nkind: Policy\nrules:\n{rules}")
}

fn recipient() -> String {
    Identity::generate_x25519().recipient().unwrap().canonical().to_owned()
}

fn told(error: RepositoryError) -> Vec<CliError> {
    Errors::from(error).into_iter().collect()
}

#[test]
fn git_decides_where_the_top_is() {
    let tree = Tree::repository();
    tree.folder("a/b");
    let top = find_top(&tree.path("a/b")).unwrap();
    assert_eq!((top.path(), top.is_git()), (tree.path("").as_path().components().as_path(), true));
    // A worktree or a submodule is a repository of its own; its .git is a file.
    tree.write("a/module/.git", "gitdir: elsewhere\n");
    tree.folder("a/module/x");
    assert_eq!(find_top(&tree.path("a/module/x")).unwrap().path(), tree.path("a/module"));
}

#[test]
fn outside_git_the_nearest_policy_decides() {
    let tree = Tree::new();
    tree.write("x/.ageseal/policy.yaml", "");
    tree.folder("x/y/z");
    let top = find_top(&tree.path("x/y/z")).unwrap();
    assert_eq!((top.path(), top.is_git()), (tree.path("x").as_path(), false));
    assert!(matches!(find_top(&tree.path("")), Err(RepositoryError::NoRepository { .. })));
    assert!(matches!(find_top(&tree.path("nowhere")), Err(RepositoryError::Unreadable { .. })));
}

#[test]
fn a_repository_without_a_policy_says_what_to_do() {
    let tree = Tree::new();
    tree.folder(".git");
    for _ in 0..2 {
        let error = tree.open().unwrap_err();
        assert!(matches!(error, RepositoryError::NoPolicy { .. }), "{error:?}");
        assert_eq!(told(error)[0].hints, ["ageseal init"]);
        tree.folder(".ageseal");
    }
}

#[test]
fn reads_the_policy_and_all_recipients() {
    let tree = Tree::repository();
    tree.write(".ageseal/recipients/unused.pub", &format!("{}\n", recipient()));
    tree.write(".ageseal/recipients/README.md", "not a recipients file");
    let repository = tree.open().unwrap();
    let names: Vec<_> = repository.recipients().files().map(RecipientsFile::name).collect();
    assert_eq!(names, ["prod", "test", "unused"]);
    assert_eq!(repository.recipients_for("a/x.yaml").unwrap().names(), ["prod"]);
    assert_eq!(repository.rule_for("b/x.yaml").unwrap().names().collect::<Vec<_>>(), ["test"]);
    assert!(repository.rule_errors().is_empty());
}

#[test]
fn all_problems_of_all_files_come_at_once() {
    let tree = Tree::repository();
    tree.write(POLICY_PATH, &(policy(&[("a/", "prod")]) + "rule: 1\n"));
    tree.write(".ageseal/recipients/prod.pub", "# a\nAGE-SECRET-KEY-1QQPQK6ZXAZZ\n");
    tree.write(".ageseal/recipients/Test.pub", "");
    tree.write(".ageseal/recipients/test.pub", "hello\n");
    let errors = told(tree.open().unwrap_err());
    let facts: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(
        facts,
        [
            "the path pattern \"a/\" ends with / and matches no file",
            "the policy has the unknown field \"rule\"",
            "\"Test\" is not a name of recipients",
            "this is a private key, and whoever can read this repository has it now",
            "not an age recipient of a known kind",
        ]
    );
    let place = &errors[3].places[0];
    assert!(place.path.ends_with(".ageseal/recipients/prod.pub"), "{place:?}");
    assert_eq!(place.at.unwrap().line, 2);
    assert!(!format!("{errors:?}").contains("QQPQK6ZXAZZ"));
}

#[test]
fn ssh_keys_and_plugins_are_recipients_of_a_repository() {
    let tree = Tree::repository();
    let ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN alice@example";
    tree.write(".ageseal/recipients/prod.pub", &format!("# alice\n{ssh}\n"));
    let repository = tree.open().unwrap();
    assert_eq!(repository.recipients_for("a/x.yaml").unwrap().recipients().len(), 1);
    tree.write(".ageseal/recipients/prod.pub", "ecdsa-sha2-nistp256 AAAA\n");
    let errors = told(tree.open().unwrap_err());
    assert!(errors[0].message.contains("ecdsa-sha2-nistp256"), "{errors:?}");
}

#[test]
fn paths_are_relative_to_the_top_with_links_resolved() {
    let tree = Tree::repository();
    tree.folder("a/x");
    tree.folder("b");
    symlink(tree.path("b"), tree.path("a/link")).unwrap();
    symlink(tree.path("b/f.yaml"), tree.path("a/f.yaml")).unwrap();
    let repository = tree.open().unwrap();
    let relative = |path: &str| repository.relative(&tree.path(path)).unwrap();
    assert_eq!(relative("a/x/f.yaml"), "a/x/f.yaml");
    assert_eq!(relative("a/x/../f.yaml"), "a/f.yaml");
    assert_eq!(relative("a/link/f.yaml"), "b/f.yaml", "a file is where it lies");
    assert_eq!(relative("a/f.yaml"), "a/f.yaml", "and not where it leads");
    assert_eq!(relative("a/new/folder/f.yaml"), "a/new/folder/f.yaml");
    let outside = repository.relative(&tree.path("../elsewhere.yaml")).unwrap_err();
    assert!(matches!(outside, RepositoryError::Outside { .. }));
    assert_eq!(told(outside)[0].kind, crate::error::Exit::Usage);
}

#[test]
fn a_link_that_leads_nowhere_is_no_folder_to_be() {
    let tree = Tree::repository();
    symlink(tree.path("gone"), tree.path("a-link")).unwrap();
    let repository = tree.open().unwrap();
    let error = repository.relative(&tree.path("a-link/f.yaml")).unwrap_err();
    assert!(matches!(error, RepositoryError::Unreadable { .. }), "{error:?}");
    let error = repository.relative(&tree.path("a/none/../f.yaml")).unwrap_err();
    assert!(matches!(error, RepositoryError::Unreadable { .. }), "{error:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let tree = Tree::repository();
    let name = std::ffi::OsStr::from_bytes(b"a\xff.yaml");
    let error = tree.open().unwrap().relative(&tree.path("").join(name)).unwrap_err();
    assert!(matches!(error, RepositoryError::NotText { .. }));
}

#[test]
fn a_second_policy_below_the_top_is_refused() {
    let tree = Tree::repository();
    tree.folder("a/x/.ageseal");
    tree.folder("a/x/y");
    let repository = tree.open().unwrap();
    for path in ["a/x/y/f.yaml", "a/x/f.yaml"] {
        let error = repository.relative(&tree.path(path)).unwrap_err();
        assert!(matches!(&error, RepositoryError::SecondPolicy { second, .. } if *second == tree.path("a/x/.ageseal")));
        assert_eq!(tree.locate(path).unwrap_err(), error);
    }
    assert!(repository.relative(&tree.path("a/f.yaml")).is_ok());
    // Also where the top has none at all: it does not count there.
    let tree = Tree::new();
    tree.folder(".git");
    tree.folder("a/.ageseal");
    assert!(matches!(tree.locate("a/f.yaml").unwrap_err(), RepositoryError::SecondPolicy { .. }));
}

#[test]
fn links_and_other_things_in_the_place_of_the_policy_are_refused() {
    for path in [FOLDER, RECIPIENTS_FOLDER, POLICY_PATH, ".ageseal/recipients/prod.pub"] {
        let tree = Tree::repository();
        fs::rename(tree.path(path), tree.path("moved")).unwrap();
        symlink(tree.path("moved"), tree.path(path)).unwrap();
        assert_eq!(tree.open().unwrap_err(), RepositoryError::Link { path: tree.path(path) });
        fs::remove_file(tree.path(path)).unwrap();
        if tree.path("moved").is_dir() {
            fs::write(tree.path(path), "").unwrap();
        } else {
            fs::create_dir(tree.path(path)).unwrap();
        }
        assert!(matches!(tree.open().unwrap_err(), RepositoryError::WrongKind { .. }), "{path}");
    }
}

#[test]
fn what_belongs_to_somebody_else_is_refused_where_it_could_be_planted() {
    // Only root can give files away, so others see the rule at work in root's own folders.
    let root = rustix::process::geteuid().is_root();
    let give = |path: PathBuf| std::os::unix::fs::chown(path, Some(65_534), Some(65_534)).unwrap();
    if !root {
        return;
    }
    for path in [FOLDER, POLICY_PATH, ".ageseal/recipients/prod.pub"] {
        let tree = Tree::repository();
        fs::remove_dir(tree.path(".git")).unwrap();
        assert!(tree.open().is_ok());
        give(tree.path(path));
        assert_eq!(tree.open().unwrap_err(), RepositoryError::NotOwned { path: tree.path(path) });
        tree.folder(".git");
        assert!(tree.open().is_ok(), "a clone is trusted by whoever works in it");
    }
    for path in [".git", FOLDER] {
        let tree = Tree::repository();
        fs::set_permissions(tree.path(""), fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(tree.open().is_ok());
        give(tree.path(path));
        assert_eq!(tree.open().unwrap_err(), RepositoryError::NotOwned { path: tree.path(path) });
    }
}

#[test]
fn a_path_without_a_rule_is_told_at_the_file() {
    let tree = Tree::repository();
    let errors = told(tree.open().unwrap().recipients_for("c/x.yaml").unwrap_err());
    assert_eq!(errors[0].message, "no rule of the policy matches c/x.yaml");
    assert!(errors[0].places[0].path.ends_with("c/x.yaml"));
    assert_eq!(errors[0].places.len(), 1);
}

#[test]
fn a_rule_without_recipients_stops_its_own_paths_only() {
    let tree = Tree::repository();
    tree.write(".ageseal/recipients/test.pub", "# nobody yet\n");
    let repository = tree.open().unwrap();
    assert!(repository.recipients_for("a/x.yaml").is_ok());
    let errors = told(repository.recipients_for("b/x.yaml").unwrap_err());
    assert_eq!(errors[0].message, "test has no recipient");
    assert_eq!(repository.rule_errors().len(), 1);
    assert!(repository.rule_errors()[0].places[0].path.ends_with(".ageseal/recipients/test.pub"));
}

#[test]
fn many_files_share_one_reading() {
    let tree = Tree::repository();
    tree.folder("a");
    tree.write("module/.git", "gitdir: elsewhere\n");
    let repositories = Repositories::new(&ui());
    let locate = |path: &str| repositories.locate(&tree.path(path));
    let (one, two, three) = (locate("a/x.yaml").unwrap(), locate("a/y.yaml").unwrap(), locate("b/new/z.yaml").unwrap());
    assert_eq!((one.path.as_str(), two.path.as_str(), three.path.as_str()), ("a/x.yaml", "a/y.yaml", "b/new/z.yaml"));
    assert!(std::sync::Arc::ptr_eq(&one.repository, &two.repository));
    assert!(std::sync::Arc::ptr_eq(&one.repository, &three.repository));
    assert_eq!(locate("module/x.yaml").unwrap_err(), locate("module/y.yaml").unwrap_err());
}

#[test]
fn a_scope_beyond_the_rule_is_told_at_both_places() {
    let tree = Tree::repository();
    let repository = tree.open().unwrap();
    let scope = ageseal::scope::Scope::exact("other", "db").unwrap();
    let refused = repository.rule_for("b/x.yaml").unwrap().check_scope(&scope).unwrap_err();
    let error = repository.refusal("b/x.yaml", &refused);
    assert!(error.message.contains("other/db") && error.message.contains("shop/*"), "{error:?}");
    assert!(error.places[0].path.ends_with("b/x.yaml"));
    assert!(error.places[1].path.ends_with(POLICY_PATH));
    assert_eq!(error.places[1].at.unwrap().line, 7);
}
