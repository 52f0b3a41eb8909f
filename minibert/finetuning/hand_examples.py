"""A few examples of each task, in English and Chinese, for demos and tests.

They are too few for a model to generalize. The words of a tagged Chinese sentence are its
characters, as they are BERT's tokens.
"""

from minibert.finetuning.examples import (Answer, ChoiceExample, QuestionExample, SentenceExample,
                                          TagExample)


def _answered(id: str, question: str, passage: str, *answers: str) -> QuestionExample:
    return QuestionExample(id, question, passage, tuple(Answer(answer, passage.index(answer))
                                                        for answer in answers))


SENTENCES = [
    SentenceExample("A quiet, honest film that stays with you.", None, "good"),
    SentenceExample("Two hours that I would like to have back.", None, "bad"),
    SentenceExample("这家店的面很好吃。", None, "good"),
    SentenceExample("等了一个小时，菜还是凉的。", None, "bad"),
]

PAIRS = [
    SentenceExample("The shop opens at nine.", "When does the shop open?", "answers"),
    SentenceExample("The shop opens at nine.", "Who is the owner of the shop?", "does not"),
    SentenceExample("商店九点开门。", "商店几点开门？", "answers"),
    SentenceExample("商店九点开门。", "店主是谁？", "does not"),
]

# The first two are items of SWAG (Zellers et al. 2018); the last one is the first in Chinese.
CHOICES = [
    ChoiceExample("The people are in robes.", "They", (
        "are wearing colorful costumes.", "are doing karate moves on the floor.",
        "shake hands on their hips.", "do a flip to the bag."), 0),
    ChoiceExample("On stage, a woman takes a seat at the piano.", "She", (
        "sits on a bench as her sister plays with the doll.",
        "smiles with someone as the music plays.", "is in the crowd, watching the dancers.",
        "nervously sets her fingers on the keys."), 3),
    ChoiceExample("人们穿着长袍。", "他们", (
        "穿着五颜六色的戏服。", "在地板上练空手道。", "把手放在臀部上握手。", "向袋子翻了个跟头。"), 0),
]

TAGGED = [
    TagExample(("Apple", "'s", "headquarters", "are", "in", "Cupertino", "."),
               ("B-ORG", "O", "O", "O", "O", "B-LOC", "O")),
    TagExample(("She", "bought", "an", "apple", "in", "New", "York", "."),
               ("O", "O", "O", "O", "O", "B-LOC", "I-LOC", "O")),
    TagExample(tuple("苹果公司的总部在库比蒂诺。"),
               ("B-ORG", "I-ORG", "I-ORG", "I-ORG", "O", "O", "O", "O", "B-LOC", "I-LOC", "I-LOC",
                "I-LOC", "O")),
    TagExample(tuple("她在纽约买了一个苹果。"),
               ("O", "O", "B-LOC", "I-LOC", "O", "O", "O", "O", "O", "O", "O")),
]

SU_SHI = ("Su Shi, whom many call Su Dongpo, was a poet and painter of the Northern Song dynasty. "
          "He came from Meishan in Meizhou, today Meishan City in Sichuan. His father and his "
          "brother were writers, too.")
SU_SHI_CHINESE = ("苏轼，字子瞻，号东坡居士，北宋文学家、书画家。他是眉州眉山人，"
                  "眉山即今四川省眉山市。他的父亲苏洵和弟弟苏辙也是文学家。")

QUESTIONS = [
    _answered("su-shi-1", "Where did Su Shi come from?", SU_SHI, "Meishan in Meizhou", "Meishan"),
    _answered("su-shi-2", "What do many people call him?", SU_SHI, "Su Dongpo"),
    _answered("su-shi-3", "When did he build his house?", SU_SHI),
    _answered("su-shi-4", "苏轼是哪里人？", SU_SHI_CHINESE, "眉州眉山", "眉山"),
    _answered("su-shi-5", "他的弟弟叫什么？", SU_SHI_CHINESE, "苏辙"),
    _answered("su-shi-6", "他什么时候建了房子？", SU_SHI_CHINESE),
]
