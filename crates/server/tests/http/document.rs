//! Every answer against the OpenAPI document: its status and media type are described, and JSON has
//! the fields that its schema requires.

use serde_json::Value;

use crate::plain::{Answer, Request};

pub(crate) struct Document(Value);

impl Document {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!((answer.status, answer.media_type()), (200, "application/json"));
        Document(answer.value())
    }

    /// Panics when the answer is not described. Routes and methods that do not exist have no description.
    #[track_caller]
    pub(crate) fn check(&self, request: &Request, answer: &Answer) {
        let path = request.target.split('?').next().unwrap_or("");
        let paths = self.0["paths"].as_object().expect("paths");
        let Some((template, methods)) = paths.iter().find(|(template, _)| matches(template, path)) else { return };
        let Some(operation) = methods.get(request.method.to_ascii_lowercase()) else { return };
        let place = format!("{} {template}: {}", request.method, answer.status);
        let described = &operation["responses"][answer.status.to_string()];
        assert!(described.is_object(), "{place} is not described: {:?}", String::from_utf8_lossy(&answer.body));
        let Some(content) = described["content"].as_object() else {
            assert!(answer.body.is_empty(), "{place} has a body that is not described");
            return;
        };
        let content = content.get(answer.media_type());
        let content = content.unwrap_or_else(|| panic!("{place}: `{}` is not described", answer.media_type()));
        if let Some(schema) = content.get("schema") {
            self.valid(schema, &answer.value(), &place);
        }
    }

    /// Types and required fields, through references, lists, maps and alternatives.
    fn valid(&self, schema: &Value, value: &Value, place: &str) {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.0.pointer(reference.trim_start_matches('#')).expect("a reference that leads somewhere");
            return self.valid(target, value, place);
        }
        if let Some(choices) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
            let choices = choices.iter().filter(|choice| choice["type"] != "null");
            return choices.filter(|_| !value.is_null()).for_each(|choice| self.valid(choice, value, place));
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.valid(part, value, place);
        }
        assert!(type_fits(&schema["type"], value), "{place} should be {}: {value}", schema["type"]);
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            assert!(value.get(name).is_some(), "{place} lacks `{name}`: {value}");
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            match (schema["properties"].get(name), schema.get("additionalProperties")) {
                (Some(schema), _) => self.valid(schema, inner, &format!("{place}.{name}")),
                (None, Some(schema)) if schema.is_object() => self.valid(schema, inner, &format!("{place}.{name}")),
                _ => {}
            }
        }
        for inner in value.as_array().into_iter().flatten() {
            self.valid(&schema["items"], inner, &format!("{place}[]"));
        }
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len() && template.iter().zip(path).all(|(want, is)| want.starts_with('{') || **want == *is)
}

fn type_fits(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::String(name) => match name.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "null" => value.is_null(),
            _ => false,
        },
        Value::Array(names) => names.iter().any(|name| type_fits(name, value)),
        _ => true,
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let document = serde_json::json!({
        "paths": {"/v1/x/{id}": {"get": {"responses": {"200": {"content": {"application/json": {"schema":
            {"$ref": "#/components/schemas/X"}}}}}}}},
        "components": {"schemas": {"X": {"type": "object", "required": ["a"],
            "properties": {"a": {"type": ["integer", "null"]}, "b": {"type": "array", "items": {"type": "string"}}}}}}
    });
    let check = |status: u16, media: &str, body: &str| {
        let headers = [("content-type".to_owned(), media.to_owned())].into();
        let answer = Answer { status, headers, body: body.into() };
        let document = Document(document.clone());
        std::panic::catch_unwind(move || document.check(&Request::get("/v1/x/7?q"), &answer)).is_ok()
    };
    for (status, media, body, good) in [
        (200, "application/json", r#"{"a": 1, "b": ["c"], "new": 1}"#, true),
        (200, "application/json; charset=utf-8", r#"{"a": null}"#, true),
        (200, "application/json", r#"{"b": []}"#, false),
        (200, "application/json", r#"{"a": "1"}"#, false),
        (200, "application/json", r#"{"a": 1, "b": [2]}"#, false),
        (200, "text/html", r#"{"a": 1}"#, false),
        (404, "application/json", r#"{"a": 1}"#, false),
    ] {
        assert_eq!(check(status, media, body), good, "{status} {media} {body}");
    }
}
