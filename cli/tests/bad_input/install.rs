//! Options of `install` that are not what they have to be: everything wrong is told at once, and no manifest is printed.

use crate::repo::{keys, refused, repo};
use crate::support::Scratch;

const RECOVERY: &str = ".ageseal/recipients/recovery.pub";

fn classic(t: &Scratch) -> String {
    t.run(&["keygen", "-q", "--classic", "-o", "../classic.txt"]).ok().stdout.trim().to_owned()
}

#[test]
fn namespaces_that_are_none_twice_or_its_own() {
    let t = repo();
    let _ = refused(&t, &["install", "--namespaces", "Shop,a,a,,ageseal-system"], 2)
        .says("--namespaces, number 1: this is not a namespace")
        .says("--namespaces: a is named twice")
        .says("--namespaces, number 4: this is not a namespace: is empty")
        .says("ageseal-system is the controller's own namespace")
        .says("name another with --namespace")
        .never_says("Shop");
    let _ = refused(&t, &["install", "--namespaces", "keys", "-n", "keys"], 2).says("own namespace");
    let _ = refused(&t, &["install", "-n", "a.b"], 2).says("--namespace: this is not a namespace");
}

#[test]
fn an_image_that_is_none() {
    let t = repo();
    for image in ["", " ", "-x", "a b", "a\nb", "a'b", "a\"b", "a{b"] {
        let _ =
            refused(&t, &["install", &format!("--image={image}")], 2).says("--image: this is not the name of an image");
    }
}

#[test]
fn no_replica_or_too_many() {
    let t = repo();
    for count in ["0", "10", "-1", "two"] {
        let _ = refused(&t, &["install", &format!("--replicas={count}")], 2).says("--replicas");
    }
}

#[test]
fn backup_recipients_that_are_weak_private_or_none() {
    let t = repo();
    let weak = classic(&t);
    let private = keys()["prod"].identity.lines().last().unwrap().to_owned();
    let _ = refused(
        &t,
        &["install", "--backup-recipient", &weak, "--backup-recipient", &private, "--backup-recipient", "recovery"],
        2,
    )
    .says("--backup-recipient: this is a private key, not a recipient")
    .says("--backup-recipient: not an age recipient")
    .never_says(&private[..24]);
    let _ = refused(&t, &["install", "--backup-recipient", &weak], 2)
        .says("is classic (age1), and the identities are post-quantum")
        .says("begins with age1pq1");
    t.write("a.pub", format!("{weak}\n"));
    let _ = refused(&t, &["install", "--backup-recipient", "a.pub"], 2).says("--backup-recipient \"$(cat a.pub)\"");
    let _ = refused(&t, &["install", "--backup-recipient", &weak, "--no-backup"], 2).says("cannot be used with");
}

#[test]
fn a_recovery_file_that_cannot_be_used_is_not_passed_over() {
    let t = repo();
    let good = &keys()["recovery"].recipient;
    t.write(RECOVERY, format!("{}\n", &good[..good.len() - 1]));
    let _ = refused(&t, &["install"], 4)
        .says(&format!("{RECOVERY}:1:1"))
        .says("the repository's recovery recipient is not known; nothing was printed")
        .says("--no-backup does without");
    // Whoever names one, or wants none, does not depend on the file.
    let _ = t.run(&["install", "--backup-recipient", good]).ok();
    let _ = t.run(&["install", "--no-backup"]).ok();
    t.write(RECOVERY, format!("{}\n", classic(&t)));
    let _ = refused(&t, &["install"], 2).says(RECOVERY).says("recovery: ").says("is classic (age1)");
}

#[test]
fn a_word_too_many() {
    let t = repo();
    let _ = refused(&t, &["install", "shop-prod"], 2).says("unexpected argument").never_says("shop-prod");
}
