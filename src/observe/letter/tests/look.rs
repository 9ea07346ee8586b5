//! Writes samples to look at in a browser: `SOAKD_SAMPLES=DIR cargo test --lib letter -- --ignored writes`.

use std::path::PathBuf;

use super::sample::{digest, letter, measured, of_weeks, opened, reopened, resolved, summary};
use crate::model::message::Subject;
use crate::observe::letter::render;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for part in bytes.chunks(3) {
        let n = part.iter().fold(0u32, |n, byte| n << 8 | u32::from(*byte)) << (8 * (3 - part.len()));
        for at in 0..4 {
            let digit = char::from(DIGITS[(n >> (18 - 6 * at)) as usize & 63]);
            out.push(if at <= part.len() { digit } else { '=' });
        }
    }
    out
}

#[test]
#[ignore = "writes samples to look at"]
fn writes_samples() {
    let dir = PathBuf::from(std::env::var_os("SOAKD_SAMPLES").expect("SOAKD_SAMPLES names the directory"));
    std::fs::create_dir_all(&dir).unwrap();
    let all = [
        ("opened", opened()),
        ("reopened", reopened()),
        ("resolved", resolved()),
        ("digest", digest()),
        ("summary", summary()),
        ("test", letter(Subject::Test)),
        ("weeks", of_weeks()),
        ("measured", measured()),
    ];
    for (name, letter) in all {
        let mail = render(&letter);
        let mut html = mail.html.clone();
        for image in &mail.images {
            html =
                html.replace(&format!("cid:{}", image.cid), &format!("data:image/png;base64,{}", base64(&image.png)));
        }
        std::fs::write(dir.join(format!("{name}.html")), html).unwrap();
        std::fs::write(dir.join(format!("{name}.txt")), format!("Subject: {}\n\n{}", mail.subject, mail.text)).unwrap();
        let sizes: Vec<usize> = mail.images.iter().map(|image| image.png.len()).collect();
        println!("{name}: {}: text {}, html {}, images {sizes:?}", mail.subject, mail.text.len(), mail.html.len());
    }
}
