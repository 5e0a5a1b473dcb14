use proptest::prelude::*;
use serde_json::json;

use super::*;

/// What goes in, and what is shown of it.
const EXAMPLES: &[(&str, &str)] = &[
    // A quoted name and a colon.
    (r#"{"api_key": "abc"}"#, r#"{"api_key": "[REDACTED]"}"#),
    (r#"{"X-Api.Key":"abc","n":1}"#, r#"{"X-Api.Key":"[REDACTED]","n":1}"#),
    (r#"{"clientSecret" : "a\"b", "x": "y"}"#, r#"{"clientSecret" : "[REDACTED]", "x": "y"}"#),
    (r#"{"password": "a\\"} end"#, r#"{"password": "[REDACTED]"} end"#),
    (r#"{\"token\": \"a\\\"b\"}"#, r#"{\"token\": \"[REDACTED]\"}"#),
    (r#"{"in":"{\"token\":\"a\"}","b":"c"}"#, r#"{"in":"{\"token\":\"[REDACTED]\"}","b":"c"}"#),
    (r#"{\\\"secret\\\":\\\"x\\\"}"#, r#"{\\\"secret\\\":\\\"[REDACTED]\\\"}"#),
    (r#"{"private_key": "never closed"#, r#"{"private_key": "[REDACTED]"#),
    (r#"{"password": 1234, "x": 1}"#, r#"{"password": "[REDACTED]", "x": 1}"#),
    (r#"{"secrets": {"a": ["}"]}, "x": 1}"#, r#"{"secrets": "[REDACTED]", "x": 1}"#),
    (r#"{"password": null, "has_token": true}"#, r#"{"password": null, "has_token": true}"#),
    ("{'api_key': 'abc', 'b': 'c'}", "{'api_key': '[REDACTED]', 'b': 'c'}"),
    (r#"{"schlüssel_token": "größe"}"#, r#"{"schlüssel_token": "[REDACTED]"}"#),
    // Counts.
    (r#"{"input_tokens": 5, "max_tokens": "100"}"#, r#"{"input_tokens": 5, "max_tokens": "100"}"#),
    (r#"{"token_usage": {"total": 3}}"#, r#"{"token_usage": {"total": 3}}"#),
    (
        r#"{"tokens": {"a": "x", "n": 1}, "b": "c"}"#,
        r#"{"tokens": {"a": "[REDACTED]", "n": 1}, "b": "c"}"#,
    ),
    (r#"{"tokens": ["a", "b"], "c": "d"}"#, r#"{"tokens": "[REDACTED]", "c": "d"}"#),
    ("max_tokens=100 maxTokens=5, tokens=1.5k", "max_tokens=100 maxTokens=5, tokens=[REDACTED]"),
    // Assignments.
    ("export GITHUB_TOKEN=abc; ls", "export GITHUB_TOKEN=[REDACTED]; ls"),
    ("DB_PASSWORD='a b c' x", "DB_PASSWORD='[REDACTED]' x"),
    (r#"API_KEY="a \" b" x"#, r#"API_KEY="[REDACTED]" x"#),
    (r#"{"cmd":"TOKEN=abc"}"#, r#"{"cmd":"TOKEN=[REDACTED]"}"#),
    (r#"{"cmd":"TOKEN=\"a b\" x"}"#, r#"{"cmd":"TOKEN=\"[REDACTED]\" x"}"#),
    ("--api-key=abc,--x=1", "--api-key=[REDACTED],--x=1"),
    ("https://x/?access_token=abc&b=c d", "https://x/?access_token=[REDACTED] d"),
    ("PASSWORD=1234", "PASSWORD=[REDACTED]"),
    ("secret=ключ, дальше", "secret=[REDACTED], дальше"),
    ("Authorization=Basic dXNlcg== x", "Authorization=Basic [REDACTED] x"),
    (r#"token = "abc""#, r#"token = "[REDACTED]""#),
    ("aws_secret_access_key = AKIA0123456789abcdef", "aws_secret_access_key = [REDACTED]"),
    ("let token = lexer.next();", "let token = lexer.next();"),
    ("if token == other {}", "if token == other {}"),
    // Bearer.
    ("Authorization: Bearer abc.def", "Authorization: Bearer [REDACTED]"),
    ("-H \"authorization: bearer abc\" y", "-H \"authorization: bearer [REDACTED]\" y"),
    ("(Bearer abc) Bearer", "(Bearer [REDACTED]) Bearer"),
    ("the bearer token is missing", "the bearer token is missing"),
    ("forbearer abc", "forbearer abc"),
    // Keys.
    ("sk-12345678", "[REDACTED]"),
    ("it is sk-ant-api03_ABC, yes", "it is [REDACTED], yes"),
    (r"line\nsk-abcdefgh", r"line\n[REDACTED]"),
    ("ü sk-abcdefgh ü", "ü [REDACTED] ü"),
    ("sk-1234567 task-management disk-cleanup", "sk-1234567 task-management disk-cleanup"),
    // Headers.
    ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [REDACTED]"),
    ("x-api-key: 0123456789abcdef0", "x-api-key: [REDACTED]"),
    ("unexpected token: '<'", "unexpected token: '<'"),
    // Nothing to hide.
    ("", ""),
    ("a = b: c - d", "a = b: c - d"),
    ("12:30 — größer als “vorher”: 5", "12:30 — größer als “vorher”: 5"),
];

#[test]
fn examples_are_shown_as_they_should_be() {
    for (given, shown) in EXAMPLES {
        assert_eq!(text(given), *shown, "of {given}");
        assert_eq!(text(shown), *shown, "a second time, of {given}");
    }
}

#[test]
fn a_string_without_a_secret_is_borrowed() {
    for given in ["", "compiling hostler v0.1.0", "a: b = c - d", r#"{"input_tokens": 5}"#] {
        assert!(matches!(text(given), Cow::Borrowed(_)), "{given}");
    }
}

#[test]
fn names_are_sensitive_speak_of_counts_or_are_plain() {
    for secret in [
        "token",
        "access_token",
        "accessToken",
        "X-Auth-Token",
        "API.KEY",
        "apiKeySource",
        "client_secret",
        "secret_tokens",
        "PASSWORD",
        "session-key",
        "privateKey",
        "aws_access_key_id",
        "proxy-authorization",
    ] {
        assert_eq!(name::kind(secret.as_bytes()), Kind::Secret, "{secret}");
    }
    for counts in [
        "tokens",
        "input_tokens",
        "cache_read_input_tokens",
        "maxTokens",
        "max_token",
        "token_usage",
        "tokenUsage",
        "token_count",
        "tokens_left",
        "secretCount",
    ] {
        assert_eq!(name::kind(counts.as_bytes()), Kind::Counts, "{counts}");
    }
    for plain in ["", "key", "message", "api", "sessions", "usage", "public_key"] {
        assert_eq!(name::kind(plain.as_bytes()), Kind::Plain, "{plain}");
    }
}

#[test]
fn values_are_hidden_by_their_names_and_strings_by_what_they_say() {
    let mut given = json!({
        "env": {"ANTHROPIC_API_KEY": "abc", "HOME": "/root", "MAX_TOKENS": "100"},
        "budget": {"max_tokens": 5, "max_usd": 1.5},
        "secrets": [1, {"a": 2}],
        "password": 1234,
        "token": null,
        "has_token": false,
        "usage": {"input_tokens": 100, "service_tier": "standard"},
        "token_usage": {"input": 3, "list": [1, "x"], "api_key": "k", "none": ""},
        "command": ["run", "--api-key=abc", "plain"],
        "system_prompt": "use sk-abcdefgh1",
    });
    let shown = json!({
        "env": {"ANTHROPIC_API_KEY": REDACTED, "HOME": "/root", "MAX_TOKENS": "100"},
        "budget": {"max_tokens": 5, "max_usd": 1.5},
        "secrets": REDACTED,
        "password": REDACTED,
        "token": null,
        "has_token": false,
        "usage": {"input_tokens": 100, "service_tier": "standard"},
        "token_usage": {"input": 3, "list": [1, REDACTED], "api_key": REDACTED, "none": ""},
        "command": ["run", "--api-key=[REDACTED]", "plain"],
        "system_prompt": "use [REDACTED]",
    });
    value(&mut given);
    assert_eq!(given, shown);
    value(&mut given);
    assert_eq!(given, shown, "a second time");
}

/// Texts in which each repetition makes a naive search look at all that came before, or after.
#[test]
fn time_is_linear_in_the_length() {
    let hard = [
        "token=",
        "token = ",
        "\"token\":",
        "\"tokens\": {",
        "\"tokens\": [",
        "\"a\\",
        "\\",
        ": ",
        "token: ",
        "token: \"",
        "tokens=1,",
        "Bearer ",
        "sk-",
        "= ",
        "token",
        "\\\"token\\\": ",
        "'token': \"",
        "\"tokens\": \"1",
        "token := ",
    ];
    let time = |text: &str| {
        let start = std::time::Instant::now();
        std::hint::black_box(self::text(text));
        start.elapsed()
    };
    for part in hard {
        let text = part.repeat((1 << 20) / part.len());
        // Quadratic time would be hours.
        assert!(time(&text).as_secs() < 10, "{part:?}");
    }
}

/// Texts made of the pieces that the rules are about.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "token",
            "tokens",
            "password",
            "api_key",
            "max_",
            "Bearer",
            "bearer ",
            "sk-",
            "sk-abcdefgh",
            "\"",
            "\"",
            "\\\"",
            "\\",
            "'",
            ":",
            ": ",
            "=",
            " = ",
            ":=",
            "==",
            " ",
            "\n",
            ",",
            ";",
            "{",
            "}",
            "[",
            "]",
            "1",
            "12.5",
            "null",
            "true",
            "Basic ",
            REDACTED,
            "[REDACTED",
            "\"token\": ",
            "\"tokens\": {",
            "\\\"secret\\\":",
            "TOKEN=",
            "é",
            "abc",
            "0123456789abcdef0",
            "n",
            ")",
            "`",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redacting_twice_is_redacting_once(given in pieces()) {
        let once = text(&given).into_owned();
        prop_assert_eq!(text(&once), once.as_str(), "of {:?}", given);
    }

    #[test]
    fn any_text_is_taken(given in any::<String>()) {
        let once = text(&given).into_owned();
        prop_assert_eq!(text(&once), once.as_str());
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_stands(
        before in "[a-zé .]{0,8}", after in "[a-zé ,;.]{0,8}", secret in "S3[A-Z0-9]{8,20}",
        form in 0usize..8,
    ) {
        let said = match form {
            0 => format!("\"my-api.key\": \"{secret}\""),
            1 => format!("\\\"token\\\":\\\"{secret}\\\""),
            2 => format!(" CLIENT_SECRET={secret} "),
            3 => format!(" CLIENT_SECRET='{secret} x'"),
            4 => format!(" Bearer {secret} "),
            5 => format!(" sk-{secret} "),
            6 => json!({"a": json!({"password": secret}).to_string()}).to_string(),
            _ => format!(" password = \"{secret}\""),
        };
        let given = format!("{before}{said}{after}");
        let shown = text(&given);
        prop_assert!(!shown.contains(&secret), "{}", shown);
        prop_assert!(shown.contains(REDACTED));
        prop_assert!(shown.starts_with(&before));
    }

    #[test]
    fn json_text_hides_what_the_value_hides(secret in "[a-z\"\\\\é{}]{1,12}", depth in 0usize..4) {
        let marked = format!("<{secret}>");
        let mut given = json!({"x": 1, "auth_token": marked, "y": "z"}).to_string();
        for _ in 0..depth {
            given = json!({"in": given, "max_tokens": 7}).to_string();
        }
        let shown = text(&given).into_owned();
        prop_assert!(!shown.contains('<') && !shown.contains('>'), "{}", shown);
        let mut inner: Value = serde_json::from_str(&shown).expect("it is JSON still");
        for _ in 0..depth {
            prop_assert_eq!(&inner["max_tokens"], 7);
            inner = serde_json::from_str(inner["in"].as_str().unwrap()).expect("so is the inner");
        }
        prop_assert_eq!(inner, json!({"x": 1, "auth_token": REDACTED, "y": "z"}));
    }
}
