//! JSON in which no object has a key twice: of two wishes that contradict each other none is dropped in silence.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// A value whose objects have every key once.
pub(super) struct Distinct(pub(super) Value);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Distinct)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Distinct(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                let key = super::problem::shorten(&key);
                return Err(de::Error::custom(format_args!("field `{key}` is there twice")));
            }
            let Distinct(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_named() {
        for (text, key) in [
            (r#"{"a": 1, "a": 2}"#, "a"),
            (r#"{"x": [{"b": 1, "c": null, "b": 1}]}"#, "b"),
            (r#"{"a": 1, "\u0061": 2}"#, "a"),
        ] {
            let error = serde_json::from_str::<Distinct>(text).map(|_| ()).expect_err(text);
            assert!(error.to_string().contains(&format!("`{key}` is there twice")), "{error}");
            assert!(error.is_data());
        }
    }

    proptest! {
        /// Everything else is read as ever.
        #[test]
        fn values_are_read_as_they_are(
            text in "[ -~]{0,8}", whole in any::<i64>(), large in any::<u64>(), part in any::<f32>(), yes in any::<bool>(),
        ) {
            let value = json!({"t": text, "w": whole, "l": large, "p": part, "y": yes, "n": null, "a": [1, {"b": []}]});
            let read: Distinct = serde_json::from_str(&value.to_string()).expect("JSON");
            prop_assert_eq!(read.0, serde_json::from_str::<Value>(&value.to_string()).expect("JSON"));
        }
    }
}
