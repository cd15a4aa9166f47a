//! Base URLs, paths and queries.

use serde::Serialize;
use serde_json::Value;

use super::ClientError;

/// `http://HOST:PORT` without a slash at its end.
pub(super) fn base_url(text: &str) -> Result<String, ClientError> {
    let error = |what: &str| Err(ClientError::Address(format!("`{text}` {what}")));
    let rest = match text.split_once("://") {
        Some(("http", rest)) => rest,
        Some(("https", _)) => return error("asks for TLS, which this client does not speak"),
        Some(_) => return error("does not begin with http://"),
        None => text,
    };
    let rest = rest.trim_end_matches('/');
    let good = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\"<>\\^`{|}".contains(&byte));
    if rest.is_empty() || rest.starts_with('/') || !good {
        return error("is not http://HOST:PORT");
    }
    Ok(format!("http://{rest}"))
}

/// A path template with its parameters filled in, each made safe for one segment.
pub(super) fn path(template: &str, parameters: &[(&str, &str)]) -> String {
    let mut path = template.to_owned();
    for (name, value) in parameters {
        let mut segment = String::with_capacity(value.len());
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"._:-~".contains(&byte) {
                segment.push(char::from(byte));
            } else {
                segment.push_str(&format!("%{byte:02X}"));
            }
        }
        path = path.replace(&format!("{{{name}}}"), &segment);
    }
    path
}

/// The fields of a query type that are set.
pub(super) fn pairs(query: &impl Serialize) -> Vec<(String, String)> {
    let value = serde_json::to_value(query).expect("queries have string keys and plain values");
    let Value::Object(fields) = value else { return Vec::new() };
    fields
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::{JobsQuery, LogsQuery};

    #[test]
    fn addresses_are_plain_http() {
        let check = |text: &str, expected: &str| assert_eq!(base_url(text).expect(text), expected, "{text}");
        check("http://127.0.0.1:7878", "http://127.0.0.1:7878");
        check("http://[::1]:7878/", "http://[::1]:7878");
        check("localhost:7878", "http://localhost:7878");
        check("http://host/huisuan/", "http://host/huisuan");
        for bad in
            ["", "http://", "https://host", "ftp://host", "/v1/jobs", "http://a b", "http://host?x", "http://u@h"]
        {
            let error = base_url(bad).expect_err(bad);
            assert_eq!(error.exit_code(), 2, "{bad}");
            assert!(error.hint().contains("http://HOST:PORT"), "{bad}");
        }
    }

    #[test]
    fn a_parameter_stays_within_its_segment() {
        assert_eq!(path("/v1/centres/{id}/pause", &[("id", "hpc-1")]), "/v1/centres/hpc-1/pause");
        assert_eq!(path("/v1/centres/{id}", &[("id", "../jobs?a=汇#")]), "/v1/centres/..%2Fjobs%3Fa%3D%E6%B1%87%23");
    }

    #[test]
    fn only_fields_that_are_set_are_sent() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(pairs(&JobsQuery::default()), []);
        let query = JobsQuery { state: Some("waiting".into()), page_size: Some(7), ..JobsQuery::default() };
        assert_eq!(pairs(&query), [pair("page_size", "7"), pair("state", "waiting")]);
        let logs = LogsQuery { follow: true, ..LogsQuery::default() };
        assert_eq!(pairs(&logs), [pair("follow", "true"), pair("offset", "0"), pair("stream", "stdout")]);
    }
}
