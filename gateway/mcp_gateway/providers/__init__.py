"""Who is called: the provider accounts, in one vocabulary (`base`).

`openai_chat` is the core that all of them share; `kimi` and `glm` say only what is different
there, which is mostly the meaning of their refusals. A new provider is a class beside them and
a line in `registry`.
"""
