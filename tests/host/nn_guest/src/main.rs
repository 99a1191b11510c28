//! A chat with the model named "default" through `wasmedge-wasi-nn`: a whole answer, a streamed one, a second turn that keeps the first one's cache,
//! metadata, and the errors a guest meets. Prints what it finds; exit code 1 and a line that begins with "FAILED" when something is not as it should be.
//!
//!     nn_guest [PROMPT]            greedy, 24 tokens

use wasmedge_wasi_nn::{BackendError, Error, ExecutionTarget, Graph, GraphBuilder, GraphEncoding, GraphExecutionContext, TensorType};

#[link(wasm_import_module = "wasi_ephemeral_nn")]
extern "C" {
    // Not of the crate: the sentence of the last failure.
    fn get_error(buffer: *mut u8, max: u32, written: *mut u32) -> i32;
}

const CONFIG: &str = r#"{"temp": 0, "n-predict": 24, "ctx-size": 256, "ignore-eos": true, "sessions": 2, "n-gpu-layers": 100, "enable-log": true}"#;

fn check(what: &str, ok: bool) {
    println!("{} {}", if ok { "ok" } else { "FAILED" }, what);
    if !ok {
        std::process::exit(1);
    }
}

fn load(name: &str, config: &str) -> Result<Graph, Error> {
    GraphBuilder::new(GraphEncoding::Ggml, ExecutionTarget::AUTO).config(config.to_string()).build_from_cache(name)
}

fn sentence() -> String {
    let mut text = vec![0u8; 512];
    let mut written = 0;
    unsafe { get_error(text.as_mut_ptr(), text.len() as u32, &mut written) };
    String::from_utf8_lossy(&text[..written as usize]).into_owned()
}

fn backend<T>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::BackendError(e)) => format!("{e:?}"),
        Err(e) => e.to_string(),
        Ok(_) => "no error".into(),
    }
}

fn put(context: &mut GraphExecutionContext, index: usize, text: &str) -> Result<(), Error> {
    context.set_input(index, TensorType::U8, &[1], text.as_bytes())
}

fn output(context: &GraphExecutionContext, index: usize) -> Vec<u8> {
    let mut buffer = vec![0u8; 65536];
    let n = context.get_output(index, &mut buffer).expect("get_output");
    buffer[..n].to_vec()
}

fn counts(context: &GraphExecutionContext) -> String {
    String::from_utf8(output(context, 1)).expect("UTF-8")
}

/// As LlamaEdge's llama-core asks: a Vec with a capacity and no length, set_len afterwards.
fn output_by_capacity(context: &GraphExecutionContext, index: usize) -> Vec<u8> {
    let mut buffer: Vec<u8> = Vec::with_capacity(2usize.pow(14) * 15 + 128);
    let n = context.get_output(index, &mut buffer).expect("get_output");
    unsafe { buffer.set_len(n) };
    buffer
}

fn number(counts: &str, key: &str) -> usize {
    let at = counts.find(&format!("\"{key}\": ")).expect(key) + key.len() + 4;
    counts[at..].chars().take_while(|c| c.is_ascii_digit()).collect::<String>().parse().expect(key)
}

fn stream(context: &mut GraphExecutionContext) -> (Vec<u8>, Error) {
    let (mut text, mut buffer) = (Vec::new(), vec![0u8; 4096]);
    loop {
        if let Err(e) = context.compute_single() {
            return (text, e);
        }
        let n = context.get_output_single(0, &mut buffer).expect("get_output_single");
        text.extend_from_slice(&buffer[..n]);
    }
}

fn errors() {
    check("an unknown name is NotFound", backend(load("nobody", CONFIG)) == "NotFound");
    check("and says why", sentence().contains("nobody"));
    check("bad JSON is InvalidEncoding", backend(load("default", "{")) == "InvalidEncoding");
    check("embeddings are UnsupportedOperation", backend(load("default", r#"{"embedding": true}"#)) == "UnsupportedOperation");
    check("bytes that are no model are InvalidEncoding",
          backend(GraphBuilder::new(GraphEncoding::Ggml, ExecutionTarget::GPU).build_from_bytes([b"not a model at all, by no means"])) == "InvalidEncoding");
}

fn main() {
    let prompt = std::env::args().nth(1).unwrap_or("Once upon a time".into());
    errors();
    let graph = load("default", CONFIG).expect("load_by_name_with_config");
    let mut context = graph.init_execution_context().expect("init_execution_context");
    println!("version {}", String::from_utf8_lossy(&output_by_capacity(&context, 1)));
    check("compute without a prompt is InvalidArgument", backend(context.compute()) == "InvalidArgument");

    put(&mut context, 0, &prompt).expect("set_input");
    context.compute().expect("compute");
    let whole = output(&context, 0);
    let text = String::from_utf8_lossy(&whole);
    println!("text {text:?}");
    check("LlamaEdge's way to ask gives the same", output_by_capacity(&context, 0) == whole);
    let first = number(&counts(&context), "input_tokens");

    put(&mut context, 0, &prompt).expect("set_input");
    let (streamed, end) = stream(&mut context);
    check("the stream ends with EndOfSequence", matches!(end, Error::BackendError(BackendError::EndOfSequence)));
    check("the stream gives the same text", streamed == whole);
    context.fini_single().expect("fini_single");

    put(&mut context, 0, &format!("{prompt}{text} And")).expect("set_input"); // the second turn
    put(&mut context, 1, r#"{"n-predict": 8, "temp": 0.5, "seed": 3}"#).expect("metadata");
    context.compute().expect("compute");
    let counts = counts(&context);
    println!("counts {counts}");
    check("n-predict holds", number(&counts, "output_tokens") <= 8);
    check("the first turn is not evaluated again", number(&counts, "reused_tokens") >= first);

    let mut other = graph.init_execution_context().expect("init_execution_context");
    put(&mut other, 0, &prompt).expect("set_input");
    other.compute().expect("compute");
    check("another context gives what the first gave", output(&other, 0) == whole);
    let mut third = graph.init_execution_context().expect("init_execution_context");
    put(&mut third, 0, &prompt).expect("set_input");
    third.compute().expect("compute");
    check("a third takes an idle one's place", output(&third, 0) == whole);

    put(&mut other, 1, r#"{"n-predict": -1, "ctx-size": 48}"#).expect("metadata");
    put(&mut other, 0, &prompt).expect("set_input");
    check("a full context is ContextFull", backend(other.compute()) == "ContextFull");
    put(&mut other, 0, &"a long story ".repeat(100)).expect("set_input");
    check("a long prompt is PromptTooLong", backend(other.compute()) == "PromptTooLong");
    println!("said {:?}", sentence());
    put(&mut other, 0, &prompt).expect("set_input");
    put(&mut other, 1, r#"{"n-predict": 4}"#).expect("metadata");
    check("and it goes on after both", other.compute().is_ok());

    graph.unload().expect("unload");
    check("an unloaded graph is InvalidArgument", backend(graph.init_execution_context()) == "InvalidArgument");
    check("and so are its contexts", backend(other.compute()) == "InvalidArgument");
    println!("done");
}
