//! Mails as another program reads them: Python's `email`, which knows nothing of how soakd makes them.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

const READER: &str = r#"
import base64, email, email.policy, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts, defects = [], [str(d) for d in mail.defects]
for part in mail.walk():
    defects += [str(d) for d in part.defects]
    leaf = not part.is_multipart()
    parts.append({
        "type": part.get_content_type(),
        "cid": part.get("Content-ID"),
        "file": part.get_filename(),
        "disposition": part.get_content_disposition(),
        "text": part.get_content() if leaf and part.get_content_maintype() == "text" else None,
        "bytes": list(part.get_payload(decode=True)) if leaf and part.get_content_maintype() != "text" else None,
    })
print(json.dumps({"headers": [[k, str(v)] for k, v in mail.items()], "parts": parts, "defects": defects}))
"#;

/// A mail that was read.
pub(crate) struct Mail(Value);

impl Mail {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut command = Command::new("python3");
        let command = command.args(["-c", READER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 is needed: tests/setup.sh installs it");
        child.stdin.take().expect("its input").write_all(bytes).expect("it reads");
        let done = child.wait_with_output().expect("it ends");
        assert!(done.status.success(), "no mail: {}", String::from_utf8_lossy(bytes));
        let mail: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!(mail["defects"], serde_json::json!([]), "{}", String::from_utf8_lossy(bytes));
        Self(mail)
    }

    /// Returns the values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let headers = self.0["headers"].as_array().expect("headers").iter();
        let of_name = headers.filter(|header| header[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name)));
        of_name.filter_map(|header| header[1].as_str()).collect()
    }

    /// Returns the value of a header that is there once.
    pub(crate) fn header(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name}: {all:?}");
        all[0]
    }

    /// Returns the types of all parts, from the outside in.
    pub(crate) fn types(&self) -> Vec<&str> {
        self.parts().iter().filter_map(|part| part["type"].as_str()).collect()
    }

    /// Returns the text of the first part of a type.
    pub(crate) fn text(&self, kind: &str) -> &str {
        let part = self.parts().iter().find(|part| part["type"] == kind);
        part.and_then(|part| part["text"].as_str()).unwrap_or_else(|| panic!("no {kind} in {:?}", self.types()))
    }

    /// Returns content id, file name and bytes of the parts of a type.
    pub(crate) fn files(&self, kind: &str) -> Vec<(Option<&str>, Option<&str>, Vec<u8>)> {
        let of_kind = self.parts().iter().filter(|part| part["type"] == kind);
        let bytes = |part: &Value| -> Vec<u8> {
            part["bytes"].as_array().into_iter().flatten().filter_map(|b| u8::try_from(b.as_u64()?).ok()).collect()
        };
        of_kind.map(|part| (part["cid"].as_str(), part["file"].as_str(), bytes(part))).collect()
    }

    fn parts(&self) -> &[Value] {
        self.0["parts"].as_array().expect("parts")
    }
}
