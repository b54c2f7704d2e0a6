//! ONNX Runtime's messages, which are written for its own authors, as one sentence for a user.
//! Text in, text out.

/// The last cause of a run's error.
pub(super) fn last_cause(message: &str) -> String {
    let mut cause = message
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or("no reason given");
    // "/…/gather.cc:42 void onnxruntime::… [E] text" and "Status Message: text" end in the text.
    for marker in ["Status Message: ", " was false. ", ") "] {
        if let Some(at) = cause.rfind(marker) {
            let after = &cause[at + marker.len()..];
            let is_path = cause[..at].contains(".cc:") || marker == "Status Message: ";
            if is_path && after.len() > 8 {
                cause = after;
            }
        }
    }
    // "[ONNXRuntimeError] : 1 : FAIL : text" ends in the text.
    if let Some(rest) = cause.strip_prefix("[ONNXRuntimeError] : ") {
        cause = rest.splitn(3, " : ").last().unwrap_or(rest);
    }
    // "file.cc:42 Function text": the words up to the source line
    // and the function after it go.
    if let Some(at) = cause.find(".cc:").or_else(|| cause.find(".h:")) {
        let mut rest = cause[at..].splitn(3, ' ').skip(1);
        if let (Some(_function), Some(text)) = (rest.next(), rest.next()) {
            cause = text;
        }
    }
    cause.chars().take(600).collect()
}

/// One sentence out of the runtime's load errors, which are written for its own authors.
pub(super) fn load_reason(message: &str, version: &str) -> String {
    let first = message.lines().next().unwrap_or(message);
    if let Some(at) = first.find("is not a registered function/op") {
        let op = first[..at]
            .rsplit(' ')
            .find(|w| !w.is_empty())
            .unwrap_or("");
        let op = op.split('(').next().unwrap_or(op);
        let (domain, name) = op.split_once(':').unwrap_or(("", op));
        let hint = if domain.starts_with("ai.onnx.contrib") {
            "; it needs the onnxruntime-extensions library, which is not part of this server"
        } else {
            "; expected operators of ONNX Runtime itself"
        };
        return format!("ONNX Runtime {version} has no operator {name} of domain {domain}{hint}");
    }
    if let Some(at) = first.find("No Op registered for ") {
        let rest = &first[at + "No Op registered for ".len()..];
        let name = rest.split(' ').next().unwrap_or(rest);
        return format!(
            "ONNX Runtime {version} has no operator {name}; expected an operator of the model's opset"
        );
    }
    if let Some(limit) = number_after(first, "official support for domain ai.onnx is till opset ") {
        return format!(
            "its opset is newer than ONNX Runtime {version} knows; expected opset {limit} or older"
        );
    }
    if let (Some(found), Some(limit)) = (
        number_after(first, "Unsupported model IR version: "),
        number_after(first, "max supported IR version: "),
    ) {
        return format!(
            "its IR version {found} is newer than ONNX Runtime {version} knows; expected {limit} or older"
        );
    }
    last_cause(first)
}

fn number_after<'m>(message: &'m str, marker: &str) -> Option<&'m str> {
    let rest = &message[message.find(marker)? + marker.len()..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_errors_become_one_sentence() {
        for (message, expected) in [
            (
                "Load model from m.onnx failed:Fatal error: com.example:Mystery(-1) is not a registered function/op",
                "no operator Mystery of domain com.example",
            ),
            (
                "Fatal error: ai.onnx.contrib:StringUpper(-1) is not a registered function/op",
                "onnxruntime-extensions",
            ),
            (
                "This is an invalid model. In Node, (\"\", Frobnicate, \"\", -1) : (\"x\") -> (\"y\") , Error No Op registered for Frobnicate with domain_version of 20",
                "no operator Frobnicate",
            ),
            (
                "/onnxruntime_src/onnxruntime/core/graph/model_load_utils.h:46 void onnxruntime::model_load_utils::ValidateOpsetForDomain(...) ONNX Runtime only *guarantees* support for models stamped with official released onnx opset versions. Opset 99 is under development and support for this is limited. The operator schemas and or other functionality may change before next ONNX release and in this case ONNX Runtime will not guarantee backward compatibility. Current official support for domain ai.onnx is till opset 28.",
                "expected opset 28 or older",
            ),
        ] {
            let reason = load_reason(message, "1.32.0");
            assert!(reason.contains(expected), "{reason}");
            assert!(!reason.contains(".h:"), "{reason}");
        }
    }

    #[test]
    fn the_last_cause_hides_source_paths() {
        let message = "[ONNXRuntimeError] : 1 : FAIL : Failed to load library lib.so with error: lib.so: undefined symbol: cudnnCreate";
        assert!(last_cause(message).starts_with("Failed to load library lib.so"));
        let message = "Non-zero status code returned while running Gather node. Name:'g' Status Message: indices element out of data bounds, idx=9 must be within the inclusive range [-3,2]";
        assert_eq!(
            last_cause(message),
            "indices element out of data bounds, idx=9 must be within the inclusive range [-3,2]"
        );
        let message = "[ONNXRuntimeError] : 1 : FAIL : tensorprotoutils.cc:2201 GetExtData External initializer: table is too short";
        assert_eq!(
            last_cause(message),
            "External initializer: table is too short"
        );
    }
}
