use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::domain::{Identity, Role, Timestamp, User, UserId};
use crate::settings::{Secret, Settings};

const SECRET: &str = "a secret for tests, of thirty-two bytes and more";

fn now() -> Timestamp {
    Timestamp::from_seconds(1_795_168_800)
}

fn settings(auth: &str) -> Settings {
    Settings::load_from(&format!("[auth]\n{auth}"), std::iter::empty()).unwrap()
}

fn verifier(auth: &str) -> Verifier {
    let settings = settings(auth);
    let secret = Secret::from(SECRET.to_owned());
    Verifier::new(&settings.auth, &settings.limits, Some(&secret), None).unwrap()
}

fn key_file(name: &str) -> String {
    format!("{}/tests/keys/{name}.pem", env!("CARGO_MANIFEST_DIR"))
}

fn with_public_key(algorithm: &str, name: &str) -> String {
    format!(
        "algorithm = '{algorithm}'\npublic_key_file = '{}'",
        key_file(&format!("{name}.public"))
    )
}

fn hs256(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

/// Good claims, and over them what a test says.
fn claims(over: Value) -> Value {
    let mut claims = json!({ "sub": "kim", "exp": now().seconds() + 60 });
    claims.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
    claims
}

fn verified(over: Value) -> Result<Claims, TokenError> {
    verifier("").verify(&hs256(&claims(over)), now())
}

fn identity(over: Value) -> Identity {
    verified(over).unwrap().identity().clone()
}

#[track_caller]
fn refused(over: Value) -> String {
    match verified(over) {
        Err(TokenError::Invalid(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

/// A JWT as somebody might put it together by hand.
fn by_hand(header: &str, claims: &Value, signature: &[u8]) -> String {
    let part = |bytes: &[u8]| {
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
            let word = word << (8 * (3 - chunk.len()));
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            for place in 0..=chunk.len() {
                let six = (word >> (18 - 6 * place)) & 0x3f;
                text.push(char::from(alphabet[six as usize]));
            }
        }
        text
    };
    let claims = claims.to_string();
    format!("{}.{}.{}", part(header.as_bytes()), part(claims.as_bytes()), part(signature))
}

#[test]
fn a_token_says_who_its_bearer_is() {
    let claims = verified(json!({
        "iss": "https://id.example.org", "iat": 1_795_168_700, "role": "ADMIN",
        "nickname": "Kim", "name": "Kim Doe", "email": "kim@example.org", "other": [1],
    }))
    .unwrap();
    assert_eq!(
        *claims.identity(),
        Identity {
            issuer: "https://id.example.org".into(),
            subject: "kim".into(),
            role: Some(Role::Admin),
            nickname: Some("Kim".into()),
            email: Some("kim@example.org".into()),
            issued_at: Some(1_795_168_700),
        }
    );
    assert_eq!(claims.expires_at(), Timestamp::from_seconds(now().seconds() + 60));
}

#[test]
fn what_a_token_leaves_out_is_none() {
    let left_out = identity(json!({ "role": null, "nickname": null, "iat": null, "nbf": null }));
    assert_eq!(left_out, identity(json!({})));
    assert_eq!(left_out.issuer, "");
    assert_eq!((left_out.role, left_out.nickname, left_out.issued_at), (None, None, None));
}

#[test]
fn a_subject_is_a_string_or_a_number_as_it_was_written() {
    for (sub, subject) in [
        (json!("kim"), "kim"),
        (json!("7"), "7"),
        (json!(7), "7"),
        (json!(-7), "-7"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!("\u{e9}".repeat(255)), "\u{e9}".repeat(255).as_str()),
    ] {
        assert_eq!(identity(json!({ "sub": sub })).subject, subject);
    }
    // To an f64 these are one number; here they are two users.
    let subject = |number: &str| {
        let number: Box<serde_json::value::RawValue> = serde_json::from_str(number).unwrap();
        let claims = std::collections::BTreeMap::from([
            ("exp", serde_json::value::to_raw_value(&99_999_999_999_i64).unwrap()),
            ("sub", number),
        ]);
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        verifier("").verify(&token, now()).unwrap().identity().subject.clone()
    };
    assert_eq!(subject("36893488147419103232"), "36893488147419103232");
    assert_eq!(subject("36893488147419103233"), "36893488147419103233");
    for sub in [json!(null), json!(""), json!("a\0"), json!("a".repeat(256)), json!(true)] {
        assert!(refused(json!({ "sub": sub })).starts_with("sub "));
    }
    for sub in [json!([]), json!({}), json!(["kim"])] {
        refused(json!({ "sub": sub }));
    }
}

#[test]
fn the_name_stands_where_there_is_no_nickname() {
    assert_eq!(identity(json!({ "name": "Kim" })).nickname.as_deref(), Some("Kim"));
    let both = identity(json!({ "name": "Kim Doe", "nickname": "Kim" }));
    assert_eq!(both.nickname.as_deref(), Some("Kim"));
}

#[test]
fn a_claim_of_the_wrong_kind_is_refused_by_name() {
    for name in ["nickname", "name", "email", "iss"] {
        for value in [json!(7), json!(["a"]), json!("a\0"), json!("a".repeat(256))] {
            let problem = refused(json!({ name: value }));
            assert!(problem.starts_with(name), "{name}: {problem}");
        }
    }
    for name in ["exp", "nbf", "iat"] {
        assert!(refused(json!({ name: "1795168800" })).starts_with(name));
        assert!(refused(json!({ name: true })).starts_with(name));
    }
}

#[test]
fn a_role_is_a_customer_or_an_admin() {
    assert_eq!(identity(json!({ "role": "user" })).role, Some(Role::Customer));
    for role in [json!("root"), json!(""), json!(1), json!(["admin"])] {
        assert!(refused(json!({ "role": role })).starts_with("role "));
    }
}

#[test]
fn one_leeway_holds_for_all_times() {
    let at = |offset: i64| now().seconds() + offset;
    assert!(verified(json!({ "exp": at(-29) })).is_ok());
    assert_eq!(verified(json!({ "exp": at(-30) })), Err(TokenError::Expired));
    assert!(verified(json!({ "nbf": at(30) })).is_ok());
    assert!(refused(json!({ "nbf": at(31) })).starts_with("nbf "));
    assert!(verified(json!({ "iat": at(30) })).is_ok());
    assert_eq!(refused(json!({ "iat": at(31) })), "iat is still to come");
}

#[test]
fn a_time_in_milliseconds_is_refused_in_those_words() {
    for name in ["exp", "iat", "nbf"] {
        for time in [json!(100_000_000_000_i64), json!(u64::MAX), json!(1e300)] {
            let problem = refused(json!({ name: time }));
            assert_eq!(problem, format!("{name} is in milliseconds, but must be in seconds"));
        }
    }
}

#[test]
fn an_end_is_required() {
    assert_eq!(refused(json!({ "exp": null })), "exp is missing");
    for (exp, end) in [
        (json!(now().seconds() as f64 + 0.5), Timestamp(now().0 + 500_000)),
        (json!(99_999_999_999_i64), Timestamp::from_seconds(99_999_999_999)),
    ] {
        assert_eq!(verified(json!({ "exp": exp })).unwrap().expires_at(), end, "{exp}");
    }
    for exp in [json!(0), json!(-1), json!(i64::MIN), json!(-1e300)] {
        assert_eq!(verified(json!({ "exp": exp })), Err(TokenError::Expired), "{exp}");
    }
}

#[test]
fn the_issuer_of_the_built_in_accounts_is_nobody_elses() {
    assert!(refused(json!({ "iss": "frontdesk" })).contains("reserved"));
}

#[test]
fn a_configured_issuer_and_audience_are_required() {
    let verifier = verifier("issuer = 'https://id'\naudience = ['desk', 'chat']");
    let verify = |over: Value| verifier.verify(&hs256(&claims(over)), now());
    assert!(verify(json!({ "iss": "https://id", "aud": "chat" })).is_ok());
    assert!(verify(json!({ "iss": "https://id", "aud": ["shop", "desk"] })).is_ok());
    for over in [
        json!({ "aud": "chat" }),
        json!({ "iss": "https://other", "aud": "chat" }),
        json!({ "iss": ["https://id"], "aud": "chat" }),
        json!({ "iss": "https://id" }),
        json!({ "iss": "https://id", "aud": "shop" }),
        json!({ "iss": "https://id", "aud": [] }),
        json!({ "iss": "https://id", "aud": 7 }),
    ] {
        assert!(matches!(verify(over.clone()), Err(TokenError::Invalid(_))), "{over}");
    }
    // Where none is configured, any will do.
    assert!(verified(json!({ "iss": "https://other", "aud": ["shop"] })).is_ok());
}

#[test]
fn each_algorithm_is_taken_where_it_is_the_configured_one() {
    for (name, algorithm) in
        [("rs256", Algorithm::RS256), ("es256", Algorithm::ES256), ("ed25519", Algorithm::EdDSA)]
    {
        let configured = serde_json::to_value(algorithm).unwrap();
        let verifier = verifier(&with_public_key(configured.as_str().unwrap(), name));
        let pem = std::fs::read(key_file(&format!("{name}.private"))).unwrap();
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(&pem),
            Algorithm::ES256 => EncodingKey::from_ec_pem(&pem),
            _ => EncodingKey::from_ed_pem(&pem),
        };
        let token = encode(&Header::new(algorithm), &claims(json!({})), &key.unwrap()).unwrap();
        assert_eq!(verifier.verify(&token, now()).unwrap().identity().subject, "kim");

        // The secret that is configured too signs nothing for the host application.
        assert!(verifier.verify(&hs256(&claims(json!({}))), now()).is_err(), "{name}");
        // Nor does the public key, taken for a secret, in any form.
        let file = std::fs::read(key_file(&format!("{name}.public"))).unwrap();
        let start = file.windows(5).position(|window| window == b"-----").unwrap();
        for secret in [&file[..], &file[start..], file[start..].trim_ascii_end()] {
            let header = Header::new(Algorithm::HS256);
            let key = EncodingKey::from_secret(secret);
            let token = encode(&header, &claims(json!({})), &key).unwrap();
            assert!(verifier.verify(&token, now()).is_err(), "{name}");
        }
        assert!(self::verifier("").verify(&token, now()).is_err(), "{name}");
    }
}

#[test]
fn another_algorithm_of_the_family_is_refused() {
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = encode(&Header::new(algorithm), &claims(json!({})), &key).unwrap();
        assert!(verifier("").verify(&token, now()).is_err());
    }
    let pem = std::fs::read(key_file("rs256.private")).unwrap();
    let verifier = verifier(&with_public_key("RS256", "rs256"));
    for algorithm in [Algorithm::RS512, Algorithm::PS256] {
        let key = EncodingKey::from_rsa_pem(&pem).unwrap();
        let token = encode(&Header::new(algorithm), &claims(json!({})), &key).unwrap();
        assert!(verifier.verify(&token, now()).is_err());
    }
}

#[test]
fn a_token_that_nobody_signed_is_refused() {
    let claims = claims(json!({ "role": "admin" }));
    let signed = hs256(&claims);
    let (unsigned, signature) = signed.rsplit_once('.').unwrap();
    let verifier = verifier("");
    for token in [
        by_hand(r#"{"alg":"none"}"#, &claims, b""),
        by_hand(r#"{"alg":"None","typ":"JWT"}"#, &claims, b""),
        by_hand(r#"{"alg":"HS256"}"#, &claims, b""),
        by_hand(r#"{"alg":"HS256"}"#, &claims, &[0; 32]),
        by_hand(r#"{}"#, &claims, &[0; 32]),
        format!("{unsigned}."),
        unsigned.to_owned(),
        format!("{signed}.{signature}"),
        format!("{unsigned}.{}", signature.get(1..).unwrap_or_default()),
        String::new(),
        "..".into(),
        "a.b.c".into(),
        "\u{0}\u{e9}.\u{e9}.\u{e9}".into(),
    ] {
        assert!(matches!(verifier.verify(&token, now()), Err(TokenError::Invalid(_))), "{token}");
    }
    let other = EncodingKey::from_secret(b"another secret");
    let token = encode(&Header::new(Algorithm::HS256), &claims, &other).unwrap();
    assert!(verifier.verify(&token, now()).is_err());
}

#[test]
fn what_a_header_must_have_understood_is_refused() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["b64".into()]);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = encode(&header, &claims(json!({})), &key).unwrap();
    assert!(verifier("").verify(&token, now()).is_err());
}

#[test]
fn a_token_over_eight_kibibytes_is_refused() {
    let token = |filler: usize| hs256(&claims(json!({ "filler": "a".repeat(filler) })));
    let spare = 8192 - token(0).len();
    assert!(verifier("").verify(&token(spare / 4 * 3 - 3), now()).is_ok());
    let problem = verifier("").verify(&token(spare), now()).unwrap_err().to_string();
    assert!(problem.contains("8192"), "{problem}");
}

#[test]
fn an_error_has_nothing_of_the_token() {
    for over in [json!({ "role": "hunter2" }), json!({ "sub": ["hunter2"] })] {
        assert!(!refused(over).contains("hunter2"));
    }
    let token = by_hand(r#"{"alg":"hunter2"}"#, &claims(json!({})), b"");
    let error = verifier("").verify(&token, now()).unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_key_file_that_fits_no_token_is_refused_at_the_start() {
    let secret = Secret::from(SECRET.to_owned());
    for (algorithm, name, word) in [
        ("RS256", "es256.public", "auth.algorithm"),
        ("ES256", "rs256.public", "auth.algorithm"),
        ("ES256", "p384.public", "auth.algorithm"),
        ("EdDSA", "es256.public", "auth.algorithm"),
        ("RS256", "rsa1024.public", "auth.algorithm"),
        ("RS256", "rs256.private", "private"),
        ("RS256", "missing", "No such file"),
    ] {
        let auth = format!("algorithm = '{algorithm}'\npublic_key_file = '{}'", key_file(name));
        let settings = settings(&auth);
        let error = Verifier::new(&settings.auth, &settings.limits, Some(&secret), None).err();
        let error = error.unwrap_or_else(|| panic!("{algorithm} {name}")).to_string();
        assert!(error.contains(word) && error.contains("public_key_file"), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("two.pem");
    let key = std::fs::read_to_string(key_file("es256.public")).unwrap();
    std::fs::write(&path, key.repeat(2)).unwrap();
    let two = format!("algorithm = 'ES256'\npublic_key_file = '{}'", path.display());
    let two = self::settings(&two);
    let error =
        Verifier::new(&two.auth, &two.limits, Some(&secret), None).err().unwrap().to_string();
    assert!(error.contains("more than one key"), "{error}");
    let settings = settings("");
    let error = Verifier::new(&settings.auth, &settings.limits, None, None).err();
    assert!(matches!(error, Some(AuthError::NoKey)));
}

#[test]
fn what_is_signed_here_is_taken_here() {
    let auth = "issuer = 'https://id'\naudience = ['desk', 'chat']";
    let secret = Secret::from(SECRET.to_owned());
    let signer = Signer::new(&settings(auth).auth, Some(&secret)).unwrap();
    let signed = Identity {
        issuer: String::new(),
        subject: "kim".into(),
        role: Some(Role::Customer),
        nickname: Some("Kim".into()),
        email: None,
        issued_at: Some(now().seconds()),
    };
    let token = signer.sign(&signed, now().after(Duration::from_secs(60))).unwrap();
    let claims = verifier(auth).verify(&token, now()).unwrap();
    assert_eq!(*claims.identity(), Identity { issuer: "https://id".into(), ..signed });
}

#[test]
fn only_the_tokens_own_user_is_admitted() {
    let user = User {
        id: UserId(7),
        issuer: String::new(),
        subject: "kim".into(),
        role: Role::Customer,
        nickname: None,
        email: None,
        blocked: false,
        block_reason: None,
        created_at: now(),
    };
    let admit = |user: User| verified(json!({ "role": "admin" })).unwrap().admit(user, now());
    let (admitted, _) = admit(user.clone()).unwrap();
    assert_eq!(admitted.id(), UserId(7));
    // The stored role counts: the token may be older than what is known.
    assert_eq!((admitted.role(), admitted.author().role), (Role::Customer, Role::Customer));
    let other = User { subject: "sam".into(), ..user.clone() };
    assert_eq!(admit(other).unwrap_err(), AdmitError::OtherUser);
    let other = User { issuer: "https://id".into(), ..user.clone() };
    assert_eq!(admit(other).unwrap_err(), AdmitError::OtherUser);
    assert_eq!(admit(User { blocked: true, ..user }).unwrap_err(), AdmitError::Blocked);
}

#[test]
fn the_configured_secret_comes_first_and_a_public_key_needs_none() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("[database]\nurl = 'sqlite://{}/desk.db'\n", dir.path().display());
    let load = |auth: &str| {
        let toml = format!("{url}[auth]\n{auth}");
        secret::signing_secret(&Settings::load_from(&toml, std::iter::empty()).unwrap()).unwrap()
    };
    assert_eq!(load("secret = 'mine'").unwrap().expose(), "mine");
    assert!(load(&with_public_key("RS256", "rs256")).is_none());
    assert!(!Path::new(&format!("{}/desk.db.secret", dir.path().display())).exists());
    assert_eq!(load("").unwrap().expose().len(), 64);
    assert!(dir.path().join("desk.db.secret").exists());
}

#[test]
fn a_token_follows_its_scheme_in_any_case() {
    for header in ["Bearer a.b.c", "bearer a.b.c", "BEARER   a.b.c "] {
        assert_eq!(bearer(header), Some("a.b.c"), "{header}");
    }
    for header in ["", "Bearer", "Bearer ", "Basic a.b.c", "a.b.c", "Bearera.b.c"] {
        assert_eq!(bearer(header), None, "{header}");
    }
}

#[test]
fn a_token_of_the_demo_is_accepted_by_its_own_start_alone() {
    let person = DemoPerson { subject: "ada", nickname: "Ada", role: Role::Admin };
    let keys = DemoKeys::random().unwrap();
    let token = keys.sign(person, now(), now().after(Duration::from_secs(5))).unwrap();
    // Other rules of issuer and audience are for the host application's tokens.
    let strict = "issuer = 'https://id'\naudience = ['desk']";
    let with_demo = verifier(strict).with_demo(&keys);
    let claims = with_demo.verify(&token, now()).unwrap();
    assert_eq!(
        (claims.identity().issuer.as_str(), claims.identity().role),
        ("demo", Some(Role::Admin))
    );
    let over = now().after(Duration::from_secs(5));
    assert_eq!(with_demo.verify(&token, over), Err(TokenError::Expired), "it has no leeway");
    for other in [verifier(strict), verifier("").with_demo(&DemoKeys::random().unwrap())] {
        assert!(matches!(other.verify(&token, now()), Err(TokenError::Invalid(_))));
    }
    // The host application's own are as before.
    let host = json!({ "iss": "https://id", "aud": "desk" });
    assert!(with_demo.verify(&hs256(&self::claims(host)), now()).is_ok());
}

#[test]
fn nobody_but_the_demo_signs_for_its_issuer() {
    assert_eq!(refused(json!({ "iss": "demo" })), "iss is reserved for the demo");
    let with_demo = verifier("").with_demo(&DemoKeys::random().unwrap());
    let token = hs256(&claims(json!({ "iss": "demo" })));
    assert!(matches!(with_demo.verify(&token, now()), Err(TokenError::Invalid(_))));
}

#[test]
fn the_demo_opens_with_the_key_of_its_address_alone() {
    let keys = DemoKeys::random().unwrap();
    let key = keys.address_key().expose();
    assert!(keys.opens(key));
    let other = DemoKeys::random().unwrap();
    for wrong in ["", "x", key.split_at(1).1, other.address_key().expose(), &format!("{key}0")] {
        assert!(!keys.opens(wrong));
    }
}
