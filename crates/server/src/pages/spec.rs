//! What was asked: the command or script as people wrote it, and the canonical spec in full.

use huisuan_api::jobs::JobView;
use maud::{Markup, html};
use serde_json::Value;

use super::{page::Page, words};

/// The spec of a job.
pub(super) fn section(page: &Page, view: &JobView) -> Markup {
    let spec = &view.spec;
    let environment = spec.get("environment").and_then(Value::as_object);
    html! {
        section {
            h2 { (page.say(words::SPEC)) }
            div.card.spec {
                h3 { (page.say(words::COMMAND)) }
                pre { code { (work(spec)) } }
                @if let Some(environment) = environment {
                    h3 { (page.say(words::ENVIRONMENT)) }
                    dl.environment {
                        @for (name, value) in environment {
                            div { dt { code { (name) } } dd { code { (value.as_str().unwrap_or_default()) } } }
                        }
                    }
                }
                details {
                    summary { (page.say(words::SPEC_JSON)) }
                    pre { code { (format!("{spec:#}")) } }
                }
                p.quiet.small.hash { (page.say(words::SPEC_HASH)) " " code { (view.spec_hash) } }
            }
        }
    }
}

/// The command as a shell would read it, or the text of the script.
fn work(spec: &Value) -> String {
    let work = spec.get("work");
    if let Some(words) = work.and_then(|work| work.get("command")).and_then(Value::as_array) {
        return words.iter().filter_map(Value::as_str).map(quoted).collect::<Vec<_>>().join(" ");
    }
    let text = work.and_then(|work| work.get("script")).and_then(|script| script.get("text"));
    text.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A word as a shell needs it written.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_can_be_copied_into_a_shell() {
        let check = |words: Value, expected: &str| assert_eq!(work(&json!({"work": {"command": words}})), expected);
        check(json!(["/bin/true"]), "/bin/true");
        check(json!(["sh", "-c", "echo $HOME"]), "sh -c 'echo $HOME'");
        check(json!(["a", "", "it's"]), r"a '' 'it'\''s'");
        assert_eq!(work(&json!({"work": {"script": {"text": "#!/bin/sh\n"}}})), "#!/bin/sh\n");
        assert_eq!(work(&json!({})), "");
    }
}
