//! How near to each other the tasks of a gang must be: `topology: {required: rack}`, or `preferred`.

use huisuan_model::{Level, Together};
use serde_json::{Value, json};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use super::{fields::Fields, problem::SpecProblem};

const EXPECTED: &str = "`preferred`, or `{required: rack}` or `{required: pod}`";

/// The field of a job file.
pub(super) fn read(fields: &Fields<'_>) -> Result<Together, SpecProblem> {
    let value = match fields.value("topology") {
        None => return Ok(Together::Preferred),
        Some(Value::String(text)) if text == "preferred" => return Ok(Together::Preferred),
        Some(Value::String(text)) => {
            let problem = SpecProblem::invalid("topology", text, EXPECTED);
            return Err(match text.parse::<Level>() {
                Ok(level) => problem.with_hint(format!("write `topology: {{required: {level}}}`")),
                Err(_) => problem,
            });
        }
        Some(value @ Value::Object(_)) => value,
        Some(other) => return Err(SpecProblem::invalid("topology", other, EXPECTED)),
    };
    let inner = Fields::new("topology", value, &["required"])?;
    let level = inner.parsed("required", "rack or pod", str::parse::<Level>)?;
    Ok(Together::Required(inner.needed("required", level, "rack or pod")?))
}

/// What [`read`] reads as the same.
pub(super) fn written(together: Together) -> Option<Value> {
    together.required().map(|level| json!({ "required": level }))
}

/// Its form in the OpenAPI document.
pub(super) fn schema() -> Schema {
    let types = SchemaType::from_iter([Type::Object, Type::String]);
    Schema::Object(ObjectBuilder::new().schema_type(types).build())
}
