//! Whether a source is this repository.

use super::World;
use crate::kustomize::refusal::{At, Refusal};
use crate::kustomize::session::show;

/// The next step where a URL is none of the remotes.
pub(super) const OURS_OR_NOT: &str = "if it is this one, git remote add it, or list its URL under `repositories` in the \
                                      policy; if it is another, list it under `otherRepositories` there";

/// Whose files a source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those of this repository.
    Ours,
    /// No URL is known, of the source or of this repository.
    Unknown,
    /// The URL is none of this repository.
    Other,
    /// The policy says that it is another one.
    Foreign,
}

/// What follows of a path in a source.
pub(super) enum Verdict {
    Deploys,
    /// It is about files of another repository.
    Elsewhere,
    Refused(Refusal),
}

impl World<'_, '_> {
    /// Whose repository a URL names.
    pub(super) fn whose(&self, url: Option<&str>) -> Whose {
        match url.map(normalized) {
            None => Whose::Unknown,
            Some(url) if self.remotes.is_empty() && !self.others.contains(&url) => Whose::Unknown,
            Some(url) if self.remotes.contains(&url) => Whose::Ours,
            Some(url) if self.others.contains(&url) => Whose::Foreign,
            Some(_) => Whose::Other,
        }
    }

    /// Whether a path in such a source is a folder of this repository. A folder of this name in what seems to be another
    /// repository is refused: a mirror, a fork or another name of the same host would be taken for foreign otherwise.
    pub(super) fn verdict(&self, whose: Whose, at: &At, folder: &str) -> Verdict {
        let there = self.session.is_folder(folder);
        match whose {
            Whose::Ours if !there => Verdict::Refused(
                at.broken("missing-path", format!("there is no folder {}", show(folder))).hinted("mend the path"),
            ),
            Whose::Ours => Verdict::Deploys,
            Whose::Unknown if there => Verdict::Deploys,
            Whose::Other if self.is_here(folder) => Verdict::Refused(
                at.unmodelled(
                    "other-repository",
                    format!("the repository named here is none of this one's remotes, and {} is here", named(folder)),
                )
                .hinted(OURS_OR_NOT),
            ),
            Whose::Unknown | Whose::Other | Whose::Foreign => Verdict::Elsewhere,
        }
    }

    /// Whether a folder is one of this repository that somebody may mean: the top always is one.
    pub(super) fn is_here(&self, folder: &str) -> bool {
        self.session.has_kustomization(folder) || !folder.is_empty() && self.session.is_folder(folder)
    }
}

fn named(folder: &str) -> String {
    if folder.is_empty() { "a kustomization at the top".to_owned() } else { format!("a folder {}", show(folder)) }
}

/// A URL of a git repository in one form, `host/path`: without scheme, user, port, `.git` and case.
///
/// Source: what Argo CD takes for the same repository (`util/git`, `NormalizeGitURL`), and git's two forms of ssh URLs.
pub(super) fn normalized(url: &str) -> String {
    let url = url.trim().to_lowercase();
    let (rest, has_scheme) = match url.split_once("://") {
        Some(("file", path)) => return path.trim_end_matches('/').trim_end_matches(".git").to_owned(),
        Some((_, rest)) => (rest, true),
        None => (url.as_str(), false),
    };
    let user = rest.find('@').filter(|at| !rest[..*at].contains('/'));
    let rest = user.map_or(rest, |at| &rest[at + 1..]);
    let path_of = |path: &str| path.trim_matches('/').trim_end_matches(".git").trim_end_matches('/').to_owned();
    let (host, path) = match (has_scheme, rest.split_once(':')) {
        // `host:path`, unless it is a path of the machine with a colon in it.
        (false, Some((host, path))) if !host.contains('/') => (host, path),
        (false, _) => return rest.trim_end_matches('/').trim_end_matches(".git").to_owned(),
        (true, _) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            (host.split(':').next().unwrap_or(host), path)
        }
    };
    let host = match host {
        // The same servers on a port that firewalls let through.
        "ssh.github.com" => "github.com",
        "altssh.gitlab.com" => "gitlab.com",
        "altssh.bitbucket.org" => "bitbucket.org",
        host => host,
    };
    format!("{host}/{}", path_of(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_has_many_urls() {
        for url in [
            "https://github.com/Org/Shop",
            "https://github.com/org/shop.git",
            "https://github.com/org/shop/",
            "http://user:token@github.com/org/shop.git",
            "git@github.com:org/shop.git",
            "github.com:org/shop",
            "ssh://git@github.com/org/shop",
            "ssh://git@github.com:22/org/shop.git",
            "ssh://git@ssh.github.com:443/org/shop.git",
            " https://github.com/org/shop \n",
        ] {
            assert_eq!(normalized(url), "github.com/org/shop", "{url}");
        }
        for (url, form) in [
            ("https://gitlab.example.com:8443/a/b/c.git", "gitlab.example.com/a/b/c"),
            ("file:///srv/git/shop.git", "/srv/git/shop"),
            ("/srv/git/shop.git/", "/srv/git/shop"),
            ("../shop", "../shop"),
            ("https://github.com/org/shop-two", "github.com/org/shop-two"),
        ] {
            assert_eq!(normalized(url), form, "{url}");
        }
    }
}
