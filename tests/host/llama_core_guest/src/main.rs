//! Two questions as LlamaEdge's chat asks them: the first answered whole, the second streamed. A line for each answer.
use chat_prompts::PromptTemplateType;
use either::Either;
use endpoints::chat::*;
use futures::{executor::block_on, TryStreamExt};
use llama_core::{chat::chat_completions::chat, metadata::ggml::GgmlMetadataBuilder};

fn text_of(event: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(event.trim_start_matches("data:").trim()).unwrap_or_default();
    json["choices"][0]["delta"]["content"].as_str().unwrap_or("").to_string()
}

async fn answer(messages: &[ChatCompletionRequestMessage], stream: bool) -> String {
    let mut request = ChatCompletionRequestBuilder::new(messages)
        .with_model("default")
        .with_sampling(ChatCompletionRequestSampling::Temperature(0.0))
        .enable_stream(stream)
        .build();
    match chat(&mut request).await.expect("chat").0 {
        Either::Right(object) => object.choices[0].message.content.clone().expect("an answer"),
        Either::Left(events) => {
            let events: Vec<String> = events.try_collect().await.expect("events");
            events.iter().map(|event| text_of(event)).collect()
        }
    }
}

fn main() {
    let metadata = GgmlMetadataBuilder::new("default", "default", PromptTemplateType::ChatML).with_ctx_size(512).build();
    llama_core::init_ggml_chat_context(&[metadata]).expect("the chat's model");
    let mut messages = vec![ChatCompletionRequestMessage::new_system_message("You are a helpful assistant.", None)];
    for (question, stream) in [("What is the capital of France?", false), ("And of Italy?", true)] {
        let content = ChatCompletionUserMessageContent::Text(question.to_string());
        messages.push(ChatCompletionRequestMessage::new_user_message(content, None));
        let said = block_on(answer(&messages, stream));
        println!("{}", said.trim());
        let said = ChatCompletionAssistantMessage::new(Some(said), None, None);
        messages.push(ChatCompletionRequestMessage::Assistant(said));
    }
}
