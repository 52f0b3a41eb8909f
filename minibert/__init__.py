"""minibert: a Transformer engine over NumPy to read, to step through and to train.

These are the public names; README.md says in which order to read the rest.
"""

from minibert.autograd import functional, ops
from minibert.autograd.checks.gradcheck import (GradcheckError, GradcheckReport, gradcheck,
                                                gradcheck_parameters)
from minibert.autograd.functional import reference
from minibert.autograd.tensor import Tensor, no_grad
from minibert.autograd.trace import detect_anomaly, trace, watch
from minibert.generation.streaming import TextStreamer
from minibert.look.causes import ablate, influence, integrated_gradients, patch
from minibert.look.lens import direct_logit_attribution, logit_lens
from minibert.look.look import look
from minibert.models.activations import ActivationCache, hook_names, hooks
from minibert.models.bart import BartForConditionalGeneration, BartModel
from minibert.models.bert import BertForPreTraining, BertModel
from minibert.models.bert_tasks import (BertForMaskedLM, BertForMultipleChoice,
                                        BertForNextSentencePrediction, BertForQuestionAnswering,
                                        BertForSequenceClassification, BertForTokenClassification)
from minibert.models.bert_variants import (DistilBertConfig, DistilBertForMaskedLM,
                                           DistilBertForMultipleChoice,
                                           DistilBertForQuestionAnswering,
                                           DistilBertForSequenceClassification,
                                           DistilBertForTokenClassification, DistilBertModel,
                                           RobertaConfig, RobertaForMaskedLM,
                                           RobertaForMultipleChoice, RobertaForQuestionAnswering,
                                           RobertaForSequenceClassification,
                                           RobertaForTokenClassification, RobertaModel)
from minibert.models.config import BartConfig, BertConfig, GPT2Config
from minibert.models.gpt import GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model
from minibert.tokenizers.byte_level_bpe import GPT2Tokenizer
from minibert.tokenizers.characters import CharTokenizer
from minibert.tokenizers.roberta import RobertaTokenizer
from minibert.tokenizers.wordpiece import BertTokenizer
from minibert.training import optim, schedules
from minibert.training.optim import clip_grad_norm_
from minibert.training.trainer import Trainer, TrainingSettings
from minibert.version import __version__
