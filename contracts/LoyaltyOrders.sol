// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/interfaces/IERC20.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {Account} from "./LoyaltyAccounts.sol";
import {LoyaltyPartners} from "./LoyaltyPartners.sol";

/// @title Signed orders: the only ways in which tokens come and go
/// @notice Anybody may submit an order; its EIP-712 signature alone decides. An order takes effect exactly once and
/// as a whole: each signer's orders form a line of consecutive numbers, and a failing item fails the call.
/// @dev Lists are packed, one 32-byte word `address(20) | amount(12)` per item. An empty list is legal: it takes the
/// place of an order that can no longer execute. Sequences, nonces and roles are read and signatures checked, by
/// static call at most, before anything is written.
abstract contract LoyaltyOrders is LoyaltyPartners, Pausable, EIP712, IERC20, IERC20Errors {
    /// @notice Signers with this role may expire tokens whose guaranteed life has passed.
    bytes32 public constant EXPIRER_ROLE = keccak256("EXPIRER_ROLE");

    bytes32 private constant ISSUE_TYPEHASH =
        keccak256("Issue(uint32 partner,uint64 sequence,bytes32 trailRoot,bytes credits)");
    bytes32 private constant REVERSE_TYPEHASH =
        keccak256("Reverse(uint32 partner,uint64 sequence,bytes32 trailRoot,bytes debits)");
    bytes32 private constant EXPIRE_TYPEHASH = keccak256("Expire(uint64 sequence,bytes32 trailRoot,bytes debits)");
    bytes32 private constant REDEEM_TYPEHASH = keccak256(
        "Redeem(address member,uint64 amount,uint32 partner,bytes32 reference,uint40 nonce,uint40 deadline)"
    );

    /// @dev Shorter epochs would outgrow the 24 bits of an account's epoch number before the year 2289.
    uint32 private constant LEAST_EPOCH_LENGTH = 10 minutes;
    uint256 private constant ITEM_SIZE = 32;
    /// @dev member(20) | amount(8) | partner(4) | reference(32) | nonce(5) | deadline(5) | signatureLength(2)
    uint256 private constant REDEMPTION_HEAD_SIZE = 76;

    /// @notice The guaranteed life in seconds: a credit is safe from expiry for the rest of the epoch in which it was
    /// made and for the whole next one. Epochs start at multiples of this length.
    uint32 public immutable epochLength;

    mapping(address member => Account) internal _accounts;
    uint256 internal _totalSupply;
    uint64 private _expirySequence;

    constructor(uint32 epochLength_) {
        require(epochLength_ >= LEAST_EPOCH_LENGTH, LoyaltyPeriod(LEAST_EPOCH_LENGTH, epochLength_));
        epochLength = epochLength_;
    }

    /// @notice Executes a partner's issuance: one Transfer from zero per credit, then Issued.
    /// @param sequence the partner's last one plus 1, else LoyaltySequence
    /// @param trailRoot Merkle root of the operations behind the credits
    /// @param credits packed list of members and amounts in whole tokens. Reverts with LoyaltyPacked,
    /// ERC20InvalidReceiver(0), LoyaltyAmount, LoyaltyAllowance, LoyaltyPeriodCap or LoyaltySupply.
    /// @param signature of the partner's signer over Issue, else LoyaltySignature. Only active partners issue, else
    /// LoyaltyPartnerInactive.
    function issue(
        uint32 partner,
        uint64 sequence,
        bytes32 trailRoot,
        bytes calldata credits,
        bytes calldata signature
    ) external whenNotPaused {
        Partner storage terms = _partners[partner];
        require(terms.active, LoyaltyPartnerInactive(partner));
        _requireNext(terms.sequence, sequence);
        bytes32 structHash = _batchHash(ISSUE_TYPEHASH, partner, sequence, trailRoot, credits);
        _requireSignature(terms.signer, _hashTypedDataV4(structHash), signature);

        terms.sequence = sequence;
        uint256 total = _credit(credits);
        _countIssued(partner, terms, total);
        emit Issued(partner, sequence, trailRoot, total);
    }

    /// @notice Executes a partner's reversal of what it issued: one Transfer to zero per debit, then Reversed.
    /// Suspended partners may reverse too, so that returns stay possible.
    /// @param sequence as for `issue`; both orders share the partner's line
    /// @param debits packed list of members and amounts in whole tokens. Reverts with LoyaltyPacked,
    /// ERC20InvalidSender(0), LoyaltyAmount, ERC20InsufficientBalance or LoyaltyReversal.
    /// @param signature of the partner's signer over Reverse, else LoyaltySignature
    function reverse(
        uint32 partner,
        uint64 sequence,
        bytes32 trailRoot,
        bytes calldata debits,
        bytes calldata signature
    ) external whenNotPaused {
        Partner storage terms = _partners[partner];
        address signer = terms.signer;
        require(signer != address(0), LoyaltyPartnerUnknown(partner));
        _requireNext(terms.sequence, sequence);
        bytes32 structHash = _batchHash(REVERSE_TYPEHASH, partner, sequence, trailRoot, debits);
        _requireSignature(signer, _hashTypedDataV4(structHash), signature);

        terms.sequence = sequence;
        uint256 total = _debit(debits, false);
        _countReversed(partner, terms, total);
        emit Reversed(partner, sequence, trailRoot, total);
    }

    /// @notice Executes the programme's expiry: one Transfer to zero per debit, then Expired.
    /// @param signer holder of EXPIRER_ROLE, else AccessControlUnauthorizedAccount
    /// @param sequence the last expiry's plus 1, else LoyaltySequence; one line for the whole programme
    /// @param debits packed list as for `reverse`; what was credited in this epoch or the one before is out of reach
    /// and reverts with LoyaltyProtected
    /// @param signature of `signer` over Expire, else LoyaltySignature
    function expire(
        address signer,
        uint64 sequence,
        bytes32 trailRoot,
        bytes calldata debits,
        bytes calldata signature
    ) external whenNotPaused {
        _checkRole(EXPIRER_ROLE, signer);
        _requireNext(_expirySequence, sequence);
        bytes32 structHash = keccak256(abi.encode(EXPIRE_TYPEHASH, sequence, trailRoot, keccak256(debits)));
        _requireSignature(signer, _hashTypedDataV4(structHash), signature);

        _expirySequence = sequence;
        emit Expired(sequence, trailRoot, _debit(debits, true));
    }

    /// @notice Executes members' redemptions, one after the other: for each a Transfer to zero, then Redeemed.
    /// @param orders records back to back, at least one, each `member(20) | amount(8) | partner(4) | reference(32) |
    /// nonce(5) | deadline(5) | signatureLength(2) | signature`. Amounts are whole tokens; the deadline is the last
    /// valid Unix second. The signature is the member's over Redeem: by key, or by ERC-1271 when the key does not
    /// match. Reverts with LoyaltyPacked, LoyaltyDeadline, LoyaltyPartnerInactive, LoyaltyNonce, LoyaltySignature,
    /// LoyaltyAmount or ERC20InsufficientBalance.
    function redeem(bytes calldata orders) external whenNotPaused {
        require(orders.length != 0, LoyaltyPacked(0));
        bytes32 domain = _domainSeparatorV4();
        uint256 total;
        uint256 cursor;
        unchecked {
            // Bounded by the calldata: each record moves the cursor on, and amounts are below 2^64.
            while (cursor != orders.length) {
                uint256 amount;
                (cursor, amount) = _redeem(orders, cursor, domain);
                total += amount;
            }
            _totalSupply -= total; // No balance exceeds the supply.
        }
    }

    /// @notice Sequence of the last executed expiry; the next one carries this plus 1.
    function expirySequence() external view returns (uint64) {
        return _expirySequence;
    }

    /// @notice The member's next redemption nonce.
    function nonces(address member) external view returns (uint256) {
        return _accounts[member].nonce();
    }

    /// @notice A member's storage word, taken apart.
    /// @return balance whole tokens held
    /// @return current credited in `epoch`
    /// @return previous credited in the epoch before `epoch`
    /// @return nonce next redemption nonce
    /// @return epoch number of the epoch in which the account was last credited
    function accountOf(address member)
        external
        view
        returns (uint64 balance, uint64 current, uint64 previous, uint40 nonce, uint24 epoch)
    {
        Account account = _accounts[member];
        return (
            uint64(account.balance()),
            uint64(account.current()),
            uint64(account.previous()),
            uint40(account.nonce()),
            uint24(account.epoch())
        );
    }

    /// @notice How many of the member's whole tokens expiry could take in this epoch.
    function expirableOf(address member) external view returns (uint256) {
        return _accounts[member].expirable(_epoch());
    }

    /// @dev Number of the running epoch.
    function _epoch() internal view returns (uint256) {
        return SafeCast.toUint24(block.timestamp / epochLength);
    }

    function _requireNext(uint64 last, uint64 given) private pure {
        uint256 expected = uint256(last) + 1;
        require(given == expected, LoyaltySequence(expected, given));
    }

    function _batchHash(bytes32 typeHash, uint32 partner, uint64 sequence, bytes32 trailRoot, bytes calldata list)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(typeHash, partner, sequence, trailRoot, keccak256(list)));
    }

    /// @dev A key is tried first: that spares looking for code, and it is right for EIP-7702 accounts.
    function _requireSignature(address signer, bytes32 digest, bytes calldata signature) private view {
        (address recovered, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && recovered == signer) return;
        require(
            SignatureChecker.isValidERC1271SignatureNowCalldata(signer, digest, signature), LoyaltySignature(signer)
        );
    }

    /// @dev Credits every item. The supply check after the loop also proves that no balance overflowed in it.
    function _credit(bytes calldata credits) private returns (uint256 total) {
        uint256 epoch = _epoch();
        uint256 length = _wholeItems(credits);
        unchecked {
            for (uint256 cursor; cursor != length; cursor += ITEM_SIZE) {
                (address member, uint256 amount) = _itemAt(credits, cursor);
                require(member != address(0), ERC20InvalidReceiver(address(0)));
                total += amount;
                _accounts[member] = _accounts[member].credited(amount, epoch);
                emit Transfer(address(0), member, amount);
            }
            uint256 left = type(uint64).max - _totalSupply;
            require(total <= left, LoyaltySupply(left, total));
            _totalSupply += total;
        }
    }

    /// @dev Debits every item, from the whole balance or from what is beyond its guaranteed life only.
    function _debit(bytes calldata debits, bool expirableOnly) private returns (uint256 total) {
        uint256 epoch = _epoch();
        uint256 length = _wholeItems(debits);
        unchecked {
            for (uint256 cursor; cursor != length; cursor += ITEM_SIZE) {
                (address member, uint256 amount) = _itemAt(debits, cursor);
                require(member != address(0), ERC20InvalidSender(address(0)));
                Account account = _accounts[member];
                if (expirableOnly) {
                    uint256 expirable = account.expirable(epoch);
                    require(amount <= expirable, LoyaltyProtected(member, expirable, amount));
                } else {
                    _requireBalance(member, account, amount);
                }
                total += amount;
                _accounts[member] = account.debited(amount);
                emit Transfer(member, address(0), amount);
            }
            _totalSupply -= total; // No sum of balances exceeds the supply.
        }
    }

    /// @dev Executes the record at `cursor`; returns where the next one starts.
    function _redeem(bytes calldata orders, uint256 cursor, bytes32 domain)
        private
        returns (uint256 next, uint256 amount)
    {
        unchecked {
            require(orders.length - cursor >= REDEMPTION_HEAD_SIZE, LoyaltyPacked(orders.length));
            uint256 word = _wordAt(orders, cursor);
            address member = address(uint160(word >> 96));
            amount = uint64(word >> 32);
            uint32 partner = uint32(word);
            bytes32 reference_ = bytes32(_wordAt(orders, cursor + 32));
            word = _wordAt(orders, cursor + 64);
            uint40 nonce = uint40(word >> 216);
            uint40 deadline = uint40(word >> 176);
            uint256 start = cursor + REDEMPTION_HEAD_SIZE;
            next = start + uint16(word >> 160);
            require(next <= orders.length, LoyaltyPacked(orders.length));

            require(block.timestamp <= deadline, LoyaltyDeadline(deadline));
            require(_partners[partner].active, LoyaltyPartnerInactive(partner));
            require(amount != 0, LoyaltyAmount(member, amount));
            Account account = _accounts[member];
            uint256 expected = account.nonce();
            // The last nonce is never used up, so that counting on cannot reach the epoch's bits.
            require(nonce == expected && nonce != type(uint40).max, LoyaltyNonce(member, expected, nonce));
            bytes32 structHash =
                keccak256(abi.encode(REDEEM_TYPEHASH, member, amount, partner, reference_, nonce, deadline));
            _requireSignature(member, MessageHashUtils.toTypedDataHash(domain, structHash), orders[start:next]);
            _requireBalance(member, account, amount);

            _accounts[member] = account.redeemed(amount);
            emit Transfer(member, address(0), amount);
            emit Redeemed(member, partner, nonce, reference_);
        }
    }

    function _requireBalance(address member, Account account, uint256 amount) internal pure {
        uint256 balance = account.balance();
        require(amount <= balance, ERC20InsufficientBalance(member, balance, amount));
    }

    function _wholeItems(bytes calldata list) private pure returns (uint256) {
        require(list.length % ITEM_SIZE == 0, LoyaltyPacked(list.length));
        return list.length;
    }

    /// @dev The item at `cursor`, its amount proven to be from 1 to 2^64 - 1.
    function _itemAt(bytes calldata list, uint256 cursor) private pure returns (address member, uint256 amount) {
        uint256 word = _wordAt(list, cursor);
        member = address(uint160(word >> 96));
        amount = uint96(word);
        unchecked {
            // One comparison for both ends: 0 wraps to the largest word.
            require(amount - 1 < type(uint64).max, LoyaltyAmount(member, amount));
        }
    }

    /// @dev Safe at any cursor: calldata reads zeros beyond its end, and callers have checked the length.
    function _wordAt(bytes calldata list, uint256 cursor) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(list.offset, cursor))
        }
    }
}
