//! Signatures of ratings: an agent signs what it measured with a key of its own, and everybody can check that
//! the record is as it was made and by whom. ed25519 (RFC 8032).

use std::sync::Arc;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use huisuan_model::{CentreId, Certificate, PoolId, Rating, hex};

/// The key that an agent signs its ratings with.
pub struct RatingKey(SigningKey);

impl RatingKey {
    /// The key that these 32 random bytes are.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        RatingKey(SigningKey::from_bytes(secret))
    }

    /// What others know it by, in hexadecimal digits.
    pub fn public(&self) -> String {
        hex::encode(self.0.verifying_key().as_bytes())
    }

    /// Writes key and signature into a rating's certificate; a rating without one stays as it is.
    pub fn sign(&self, centre: &CentreId, pool: &PoolId, rating: &mut Rating) {
        let Some(certificate) = &rating.certificate else { return };
        let unsigned = Certificate { key: self.public(), signature: String::new(), ..certificate.as_ref().clone() };
        rating.certificate = Some(Arc::new(unsigned.clone()));
        let signature = self.0.sign(rating.signed_text(centre, pool).as_bytes());
        rating.certificate = Some(Arc::new(Certificate { signature: hex::encode(&signature.to_bytes()), ..unsigned }));
    }
}

/// Whether a rating's certificate is signed by the key that it names; false without a certificate.
pub fn verifies(centre: &CentreId, pool: &PoolId, rating: &Rating) -> bool {
    let Some(certificate) = &rating.certificate else { return false };
    let key = hex::decode::<32>(&certificate.key).and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
    let signature = hex::decode::<64>(&certificate.signature).map(|bytes| Signature::from_bytes(&bytes));
    let (Some(key), Some(signature)) = (key, signature) else { return false };
    // Strict: no second signature of the same record by a key of small order is taken.
    key.verify_strict(rating.signed_text(centre, pool).as_bytes(), &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use huisuan_model::{GflopPerS, Mark, TimeMs};

    use super::*;

    #[test]
    fn a_signature_holds_for_one_record_of_one_pool() {
        let (centre, pool) = (CentreId::new("hpc-1").expect("a name"), PoolId::new("cpu:test").expect("a name"));
        let key = RatingKey::from_secret(&[7; 32]);
        let mut rating = Rating::plain(GflopPerS(60), GflopPerS(90), "test/1", Mark::Measured, TimeMs(0));
        key.sign(&centre, &pool, &mut rating);
        assert!(rating.certificate.is_none() && !verifies(&centre, &pool, &rating));
        rating.certificate = Some(Arc::default());
        key.sign(&centre, &pool, &mut rating);
        assert!(verifies(&centre, &pool, &rating));
        assert!(verifies(&centre, &pool, &Rating { version: 3, ..rating.clone() }), "the network counts versions");
        // Through JSON, as it travels.
        let text = serde_json::to_string(&rating).expect("written");
        assert!(verifies(&centre, &pool, &serde_json::from_str(&text).expect("read")));

        let other = CentreId::new("hpc-2").expect("a name");
        assert!(!verifies(&other, &pool, &rating));
        assert!(!verifies(&centre, &pool, &Rating { sustained: GflopPerS(61), ..rating.clone() }));
        let forged = |change: fn(&mut Certificate)| {
            let mut certificate = rating.certificate.as_deref().expect("signed").clone();
            change(&mut certificate);
            Rating { certificate: Some(Arc::new(certificate)), ..rating.clone() }
        };
        for forged in [
            forged(|certificate| certificate.expires_at = TimeMs(1)),
            forged(|certificate| certificate.key = RatingKey::from_secret(&[8; 32]).public()),
            forged(|certificate| certificate.signature = "00".repeat(64)),
            forged(|certificate| certificate.signature = "no digits".into()),
            forged(|certificate| certificate.key = "00".repeat(32)),
        ] {
            assert!(!verifies(&centre, &pool, &forged));
        }
    }
}
