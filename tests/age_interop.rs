//! The envelopes against the age program: what it makes opens here, what is made here opens there.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use ageseal::envelope::FreshDek;
use ageseal::format::{AgeFile, Envelope, Item, Sealed};
use ageseal::open::{OpenError, open};
use ageseal::recipient::{Identity, KeyRing, Recipient};
use ageseal::scope::Scope;
use ageseal::seal::Context;
use ageseal::secret::Plaintext;
use ageseal_testkit::{Command, Scratch, age, age_keygen};
use rand_core::OsRng;

const ROUNDS: usize = 8;

fn generate(pq: bool) -> Identity {
    if pq { Identity::generate_hybrid(&mut OsRng) } else { Identity::generate_x25519() }
}

fn one_item(file: AgeFile, dek: &FreshDek) -> Sealed {
    let scope = Scope::exact("prod", "db").unwrap();
    let context = Context { secret_type: "Opaque", key: "password", scope: &scope };
    let value = dek.seal(context, &Plaintext::new(b"hunter2".to_vec()), &mut OsRng).unwrap();
    let envelope = Envelope { file, also: vec![] };
    Sealed {
        secret_type: "Opaque".to_owned(),
        envelopes: [(dek.kid(), envelope)].into(),
        items: [("password".to_owned(), Item { value, scope: None, envelope: None })].into(),
        scope: Some(scope),
    }
}

#[test]
fn age_opens_what_is_made_here() {
    for pq in [true, false] {
        let scratch = Scratch::new();
        for _ in 0..ROUNDS {
            let identities = [generate(pq), generate(pq)];
            let recipients: Vec<&Recipient> = identities.iter().filter_map(Identity::recipient).collect();
            let file = FreshDek::generate(&mut OsRng).wrap(&recipients).unwrap();
            for identity in &identities {
                let key = scratch.write("key.txt", identity.to_secret_string().unwrap().as_bytes());
                let run = Command::new(age()).args(["-d", "-i"]).arg(&key).stdin(&file.age).run();
                let plaintext = String::from_utf8(run.expect_success()).unwrap();
                assert_eq!(plaintext.len(), 80);
                assert!(plaintext.starts_with("ageseal-dek-v1 "));
            }
        }
    }
}

#[test]
fn what_age_makes_opens_here() {
    for pq in [true, false] {
        let scratch = Scratch::new();
        for _ in 0..ROUNDS {
            let identities = [generate(pq), generate(pq)];
            let recipients: Vec<&Recipient> = identities.iter().filter_map(Identity::recipient).collect();
            let dek = FreshDek::generate(&mut OsRng);
            // The DEK's own text, taken out with age and put back by age.
            let key = scratch.write("key.txt", identities[0].to_secret_string().unwrap().as_bytes());
            let ours = dek.wrap(&recipients).unwrap();
            let text = Command::new(age()).args(["-d", "-i"]).arg(&key).stdin(&ours.age).run().expect_success();
            let mut encrypt = Command::new(age()).arg("-a").stdin(&text);
            for recipient in &recipients {
                encrypt = encrypt.args(["-r", recipient.canonical()]);
            }
            let armored = String::from_utf8(encrypt.run().expect_success()).unwrap();
            let sealed = one_item(AgeFile { recipients: ours.recipients, age: armored }, &dek);
            for identity in identities {
                let opened = open(&sealed, None, &KeyRing::new(vec![identity])).unwrap();
                assert_eq!(opened.values["password"].expose(), b"hunter2");
            }
            let stranger = KeyRing::new(vec![generate(pq)]);
            assert!(matches!(open(&sealed, None, &stranger), Err(OpenError::NotARecipient { .. })));
        }
    }
}

#[test]
fn both_derive_the_same_recipient_from_an_identity() {
    for pq in [true, false] {
        let identity = generate(pq);
        let run = Command::new(age_keygen()).arg("-y").stdin(identity.to_secret_string().unwrap().as_bytes()).run();
        let recipient = String::from_utf8(run.expect_success()).unwrap();
        assert_eq!(recipient.trim(), identity.recipient().unwrap().canonical());
    }
}

#[test]
fn an_identity_that_age_generates_is_read_here() {
    for arguments in [&["-pq"][..], &[]] {
        let run = Command::new(age_keygen()).args(arguments).run();
        let file = String::from_utf8(run.expect_success()).unwrap();
        let secret = file.lines().find(|line| !line.starts_with('#')).unwrap();
        let public = file.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
        let identity: Identity = secret.parse().unwrap();
        assert_eq!(identity.recipient().unwrap(), &public.parse::<Recipient>().unwrap());
    }
}
