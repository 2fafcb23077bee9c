"""Tests of the services as processes, run once more with containers by way of the fixtures of this folder."""

from tests.e2e.test_direct_publishing import test_a_plain_client_in_another_library_is_served
from tests.e2e.test_life_of_a_job import (
    test_a_prompt_comes_back_byte_for_byte,
    test_a_transient_failure_is_retried_through_the_wait_queue,
    test_messages_and_options_reach_the_model,
    test_the_record_tells_the_life_of_the_job,
)
from tests.e2e.test_predict import test_the_original_mini_program_gets_its_fortune
from tests.e2e.test_reading import (
    test_a_poll_that_waits_in_vain_tells_the_state,
    test_an_answer_that_left_the_cache_comes_from_the_store_and_goes_back,
    test_held_polls_are_answered_when_the_reader_stops,
)
from tests.e2e.test_start_and_stop import (
    test_a_stopping_gateway_is_not_ready_and_ends_well,
    test_a_worker_that_is_told_to_stop_finishes_what_it_has,
)
from tests.e2e.test_what_it_shows import test_a_service_is_ready_only_while_its_servers_answer

__all__ = [
    "test_a_plain_client_in_another_library_is_served",
    "test_a_poll_that_waits_in_vain_tells_the_state",
    "test_a_prompt_comes_back_byte_for_byte",
    "test_a_service_is_ready_only_while_its_servers_answer",
    "test_a_stopping_gateway_is_not_ready_and_ends_well",
    "test_a_transient_failure_is_retried_through_the_wait_queue",
    "test_a_worker_that_is_told_to_stop_finishes_what_it_has",
    "test_an_answer_that_left_the_cache_comes_from_the_store_and_goes_back",
    "test_held_polls_are_answered_when_the_reader_stops",
    "test_messages_and_options_reach_the_model",
    "test_the_original_mini_program_gets_its_fortune",
    "test_the_record_tells_the_life_of_the_job",
]
